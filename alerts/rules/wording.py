"""The words of messages: a line, plain text, and the JSON of webhooks. Each holds only what its reader may see."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts.rules.matching import sees_all, visible_bots
from alerts.rules.words import MessageKind
from alerts.types import BotShown, Case, Reader, Words

NAMED_IN_TEXT = 20
NAMED_IN_PAYLOAD = 200
LONGEST_DETAIL = 500
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def compose(*, kind: MessageKind, number: int, case: Case, reader: Reader, now: datetime) -> Words:
    """What is sent to this channel about the incident as it stands now."""
    bots = visible_bots(reader=reader, case=case)
    sentence = sentence_for(case=case, reader=reader, bots=len(bots))
    tag = "RESOLVED" if kind == MessageKind.RESOLVED else case.severity.upper()
    return Words(
        title=f"[{tag}] {_lead(kind, case, now)}{sentence}"[:300],
        body="\n".join([sentence, "", *_lines(kind, case, reader, bots, now)]),
        payload={
            "version": 1,
            "event": str(kind),
            "number": number,
            "severity": str(case.severity),
            "title": sentence,
            "at": _instant(now),
            "incident": _incident(case, reader),
            "bots": [_bot(bot) for bot in bots[:NAMED_IN_PAYLOAD]],
            "bots_total": len(bots),
        },
    )


def sentence_for(*, case: Case, reader: Reader, bots: int) -> str:
    """The incident's own sentence for those who may read it, for a client that it touches one that names nobody else."""
    if sees_all(reader=reader, case=case):
        return case.title
    told = case.details.get("client_title")
    if isinstance(told, str) and told.strip():
        return told.strip()[:300]
    yours = "one of your bots" if bots == 1 else f"{bots} of your bots"
    return f"{case.kind.replace('_', ' ').capitalize()}: it touches {yours}."


def span(length: timedelta) -> str:
    """A length of time as people say it: "45 s", "12 min", "2 h 10 min", "3 days"."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 2 * _MINUTE:
        return f"{seconds} s"
    if seconds < 2 * _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < 2 * _DAY:
        hours, minutes = divmod(seconds // _MINUTE, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{seconds // _DAY} days"


def _lead(kind: MessageKind, case: Case, now: datetime) -> str:
    lasts = span((case.resolved_at or now) - case.opened_at)
    return {
        MessageKind.WORSENED: "Worse now: ",
        MessageKind.REMINDER: f"Still open after {lasts}: ",
        MessageKind.ESCALATED: f"Nobody has taken it on for {lasts}: ",
        MessageKind.RESOLVED: f"Over after {lasts}: ",
    }.get(kind, "")


def _lines(kind: MessageKind, case: Case, reader: Reader, bots: tuple[BotShown, ...], now: datetime) -> list[str]:
    lines = [f"Severity: {case.severity}", f"Since: {_moment(case.opened_at)}"]
    if case.resolved_at:
        lines.append(f"Over since: {_moment(case.resolved_at)}, after {span(case.resolved_at - case.opened_at)}")
        if case.resolution and sees_all(reader=reader, case=case):
            lines.append(f"How it ended: {case.resolution}")
    if case.acknowledged_at and not case.resolved_at:
        lines.append(f"Taken on by: {_who(case.acknowledged_by, reader)}, at {_moment(case.acknowledged_at)}")
    lines.extend(_named(bots, reader))
    if case.account and not bots:
        lines.append(f"Account: {case.account}")
    if sees_all(reader=reader, case=case) and kind != MessageKind.RESOLVED:
        lines.extend(_facts(case.details))
    return [*lines, f"Incident: {case.id}"]


def _named(bots: tuple[BotShown, ...], reader: Reader) -> list[str]:
    if not bots:
        return []
    if len(bots) == 1:
        return [f"Bot: {_name(bots[0], reader)}, {bots[0].symbol} at {bots[0].exchange}"]
    said = ", ".join(_name(bot, reader) for bot in bots[:NAMED_IN_TEXT])
    more = len(bots) - NAMED_IN_TEXT
    return [f"Bots ({len(bots)}): {said}{f' and {more} more' if more > 0 else ''}"]


def _name(bot: BotShown, reader: Reader) -> str:
    return f"{bot.name} of {bot.account}" if reader.client_id is None else bot.name


def _facts(details: Mapping[str, Any]) -> list[str]:
    """The plain words and numbers among the details; rows and lists are for the incident's page."""
    return [
        f"{name.replace('_', ' ').capitalize()}: {str(value)[:LONGEST_DETAIL]}"
        for name, value in details.items()
        if name not in ("rows", "client_title", "bots")
        and value not in (None, "")
        and not isinstance(value, list | dict)
    ][:10]


def _incident(case: Case, reader: Reader) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": str(case.id),
        "kind": case.kind,
        "severity": str(case.severity),
        "opened_at": _instant(case.opened_at),
        "acknowledged_at": _instant(case.acknowledged_at),
        "acknowledged_by": _who(case.acknowledged_by, reader),
        "resolved_at": _instant(case.resolved_at),
    }
    if sees_all(reader=reader, case=case):
        told |= {
            "key": case.key,
            "account": case.account or None,
            "resolution": case.resolution,
            "details": {
                name: value if isinstance(value, bool | int) else str(value)[:LONGEST_DETAIL]
                for name, value in case.details.items()
                if name != "client_title" and value is not None and not isinstance(value, list | dict)
            },
        }
    return told


def _bot(bot: BotShown) -> dict[str, str]:
    return {
        "id": str(bot.id),
        "name": bot.name,
        "account": bot.account,
        "exchange": bot.exchange,
        "symbol": bot.symbol,
    }


def _who(actor: str, reader: Reader) -> str:
    """Operators' names are for operators."""
    return actor if reader.client_id is None or not actor else "an operator"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
