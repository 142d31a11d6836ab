"""What the tools of one step answer: all that its calls want is read in one short transaction, of the bot's own symbols and
its own client's rows alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from arena.models import ArenaSettings, Participant
from arena.rules.bars import Bar
from arena.rules.position_size import Money
from arena.rules.statuses import BarSpan
from arena.rules.tool_answers import BarKey, Known, RecordAsk
from arena.rules.tools import answers, bars_wanted, read_calls
from arena.services.claim_turns import SCOPE
from arena.services.stand import Stand, stand_of
from arena.services.summary_material import ledger_groups
from arena.types_models import ToolCall, ToolResult
from ground.sql import fetch_all
from ledger.services.book_rows import as_json
from ledger.services.record_paper import held_on_paper, lock_accounts

_BARS = """
    SELECT w.symbol, w.span, b.start_at, b.open, b.high, b.low, b.close
      FROM jsonb_to_recordset(%(wanted)s::jsonb) AS w(symbol text, span text, count integer)
      JOIN arena_markets m ON m.exchange = %(exchange)s AND m.symbol = w.symbol
     CROSS JOIN LATERAL (
        SELECT * FROM arena_price_bars p WHERE p.market_id = m.id AND p.span = w.span ORDER BY p.start_at DESC LIMIT w.count
     ) b
     ORDER BY w.symbol, w.span, b.start_at
"""


def look_up(bot_id: UUID, calls: Sequence[ToolCall], *, now: datetime) -> tuple[ToolResult, ...]:
    """A result for each call, in order. What a call gets wrong is told in words."""
    with SCOPE.transaction():
        participant = Participant.objects.get(pk=bot_id)
        account = lock_accounts([bot_id])[bot_id]
        stand = stand_of(participant, account, held_on_paper([bot_id]), now=now)
        read = read_calls(calls, symbols=frozenset(stand.markets))
        bars = _bars(bars_wanted(read), stand.settings)
        is_record_wanted = any(isinstance(one.ask, RecordAsk) for one in read)
        record = ledger_groups(bot_id, until=now) if is_record_wanted else {}
    return answers(read, Known(_money(stand, now=now), bars, record))


def _bars(wanted: Mapping[BarKey, int], chosen: ArenaSettings) -> dict[BarKey, list[Bar]]:
    """The newest of each, oldest first."""
    if not wanted:
        return {}
    rows = [{"symbol": symbol, "span": str(span), "count": count} for (symbol, span), count in wanted.items()]
    found: dict[BarKey, list[Bar]] = {}
    for symbol, span, *prices in fetch_all(_BARS, {"wanted": as_json(rows), "exchange": chosen.exchange}):
        found.setdefault((symbol, BarSpan(span)), []).append(Bar(*prices))
    return found


def _money(stand: Stand, *, now: datetime) -> Money:
    return Money(stand.portfolio, stand.markets, stand.limits, stand.costs, stand.cooldowns, now)
