"""What Hummingbot's error answers mean. It refuses with 500 and times out with 400, so the words are looked at too."""

from __future__ import annotations

import re
from typing import NoReturn

from bots.gateways.transport import SYSTEM, Answer, Call, detail_of, lost
from ground.errors import BadCredentials, Rejected, Unavailable

_EXCHANGE_AWAY = re.compile(
    r"cannot connect|connection|timed? ?out|timeout|name or service|temporary failure|disconnected|unreachable"
    r"|too many requests|rate limit|\b(429|50[0234])\b",
    re.IGNORECASE,
)


def raise_for_refusal(answer: Answer, call: Call) -> NoReturn:
    """Any call but a deploy and add-credential: 4xx is a refusal, 5xx is no answer."""
    if answer.status >= 500:
        raise lost(call, f"failed (HTTP {answer.status})")
    detail = detail_of(answer.body)
    if detail in ("Not Found", "Method Not Allowed"):
        raise Rejected(
            "Hummingbot's API does not have this call: check HUMMINGBOT_API_URL and its version.", system=SYSTEM
        )
    raise Rejected(f"Hummingbot refused: {detail or f'HTTP {answer.status}'}", system=SYSTEM)


def raise_for_deploy(answer: Answer, call: Call) -> NoReturn:
    """A deploy. Only what surely happened before a container was created is a refusal or Unavailable."""
    detail = detail_of(answer.body)
    if answer.status < 500:
        raise_for_refusal(answer, call)
    if "No such file or directory" in detail and "credentials/" in detail:
        raise Rejected("Hummingbot has no such account, so it could not deploy the bot.", system=SYSTEM)
    raw = answer.body.get("detail") if isinstance(answer.body, dict) else None
    if isinstance(raw, str) and "/containers/create" in raw and "Failed to establish a new connection" in raw:
        raise Unavailable("Hummingbot could not reach its Docker engine, so nothing was deployed.", system=SYSTEM)
    raise lost(call, f"failed while deploying (HTTP {answer.status})")


def raise_for_credential(answer: Answer, *, account: str, connector: str, call: Call) -> NoReturn:
    """Adding credentials. The answer's words only choose the sentence; none of them is repeated."""
    detail = detail_of(answer.body)
    if answer.status >= 500:
        raise lost(call, f"failed while checking the {connector} credentials (HTTP {answer.status})")
    if "Invalid account name" in detail:
        raise Rejected(f"Hummingbot does not accept the account name {account}.", system=SYSTEM)
    if detail.strip("'\"") == connector:
        raise Rejected(f"Hummingbot does not know the connector {connector}.", system=SYSTEM)
    if "has no attribute" in detail or answer.status == 422:
        raise Rejected(f"Hummingbot wants other credential fields for {connector}.", system=SYSTEM)
    if _EXCHANGE_AWAY.search(detail):
        raise Unavailable(f"Hummingbot could not reach {connector} to check the credentials.", system=SYSTEM)
    raise BadCredentials(f"{connector} refused the credentials that Hummingbot tried for {account}.", system=SYSTEM)
