"""The names under which bots, configs and accounts go to Hummingbot, and how they are found there again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import UUID

_SUFFIX = r"-\d{8}-\d{6}"
_OURS = re.compile(rf"(tb-[0-9a-f]{{32}}-\d+){_SUFFIX}")


def requested_name(bot_id: UUID, sequence: int) -> str:
    """The instance and config name of a bot's deployment. Letters, digits and hyphens: Hummingbot fails on others."""
    return f"tb-{bot_id.hex}-{sequence}"


def account_name(account_identifier: str, client_id: UUID) -> str:
    """A client's account. Its id is in it: an identifier may pass on to another client, the keys must not."""
    return f"{account_identifier}-{client_id.hex[:8]}"


def instances_of(requested: str, names: Iterable[str]) -> list[str]:
    """Which of these names Hummingbot made of the requested one, oldest first."""
    pattern = re.compile(re.escape(requested) + _SUFFIX)
    return sorted({name for name in names if pattern.fullmatch(name)})


def requested_by_us(instance_name: str) -> str | None:
    """The requested name inside an instance name of ours; None for anybody else's."""
    match = _OURS.fullmatch(instance_name)
    return match[1] if match else None
