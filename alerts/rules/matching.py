"""Which incidents go to which channel, and what of an incident the channel's owner may see."""

from __future__ import annotations

from alerts.rules.words import Severity
from alerts.types import BotShown, Case, Reader, Rule

RANK = {word: rank for rank, word in enumerate(Severity)}


def matches(*, rule: Rule, case: Case, severity: Severity) -> bool:
    """Whether the rule wants to hear of this incident at this severity, and its channel's owner may."""
    return (
        RANK[severity] >= RANK[rule.min_severity]
        and (not rule.kinds or case.kind in rule.kinds)
        and concerns(reader=rule.reader, case=case)
    )


def concerns(*, reader: Reader, case: Case) -> bool:
    """Whether the incident is any business of the channel's owner: everything is an operator's, a client's is what is about
    the client or touches one of its bots, and a bot's channel hears of that bot alone."""
    if reader.client_id is None:
        return True
    if reader.bot_id is None and case.client_id == reader.client_id:
        return True
    return bool(visible_bots(reader=reader, case=case))


def visible_bots(*, reader: Reader, case: Case) -> tuple[BotShown, ...]:
    """The bots of the incident that the channel's owner may see, by client and name: its own one first."""
    if reader.client_id is None:
        seen = tuple(
            sorted((bot for bots in case.touched.values() for bot in bots), key=lambda bot: (bot.account, bot.name))
        )
    else:
        seen = case.touched.get(reader.client_id, ())
    if case.bot and (reader.client_id is None or case.bot.client_id == reader.client_id):
        seen = (case.bot, *(bot for bot in seen if bot.id != case.bot.id))
    return tuple(bot for bot in seen if reader.bot_id in (None, bot.id))


def sees_all(*, reader: Reader, case: Case) -> bool:
    """Whether the owner may read the incident itself, its key and details too: operators, and the client whose it is."""
    return reader.client_id is None or reader.client_id == case.client_id
