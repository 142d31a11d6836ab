"""Accounts that keep their trades elsewhere: unified and high-frequency accounts of some exchanges.

ccxt would ask what kind an account is before every first call, and some of its classes take a failed question for a
"no". Here the plain call comes first; only when it finds nothing is the question asked, once per key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Each question sets what ccxt goes by in its options and gives whether the trades are elsewhere.
Question = Callable[[Any], bool]


def _gate_unified(client: Any) -> bool:
    client.options["unifiedAccount"] = None
    return bool(client.load_unified_status())


def _bitget_unified(client: Any) -> bool:
    client.options["uta"] = None
    return bool(client.handle_uta_and_params({}, "fetchMyTrades")[0])


def _kucoin_high_frequency(client: Any) -> bool:
    client.load_migration_status(True)
    return bool(client.options["hf"])


def _kucoin_unified(client: Any) -> bool:
    client.options["uta"] = None
    return bool(client.is_uta_enabled())


QUESTIONS: dict[str, tuple[Question, ...]] = {
    "bitget": (_bitget_unified,),
    "gate": (_gate_unified,),
    "kucoin": (_kucoin_high_frequency, _kucoin_unified),
    "kucoinfutures": (_kucoin_unified,),
}
# Where the plain question shows an empty purse to an account of the other kind, so that the kind is asked for first.
PURSE_DEPENDS = frozenset({"bitget", "gate", "kucoinfutures"})
OPTIONS = ("unifiedAccount", "uta", "hf")


def reset(client: Any) -> None:
    """Back to the plain kind, after a question that could not be answered."""
    for option in OPTIONS:
        if option in client.options:
            client.options[option] = False
