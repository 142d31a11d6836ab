"""A bot's prompts held against each other: what each did while it was in force.

A turn counts for the version that it was opened with. A closed position counts for the version whose turn opened it, whichever
version, stop or person closed it: who opened it chose the market, the size and the stops.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from ground.scope import Scope
from ground.sql import fetch_all, fetch_one
from ledger.rules.pnl import amount

_VERSIONS = """
    WITH t AS MATERIALIZED (
        SELECT id, prompt_id, status, decision_id, number, created_at, finished_at
          FROM arena_turns WHERE bot_id = %(bot)s AND prompt_id IS NOT NULL
    ), counted AS (
        SELECT t.prompt_id, count(*) AS turns, count(*) FILTER (WHERE t.status = 'skipped') AS skipped,
               count(*) FILTER (WHERE t.status = 'failed' AND t.decision_id IS NULL) AS failed,
               count(*) FILTER (WHERE t.status = 'failed' AND t.decision_id IS NOT NULL) AS unreadable,
               count(*) FILTER (WHERE t.status = 'done') AS done,
               count(*) FILTER (WHERE t.status = 'done' AND d.execution_success) AS executed,
               count(*) FILTER (WHERE t.status = 'done' AND NOT d.execution_success) AS refused,
               sum(k.longs) AS longs, sum(k.shorts) AS shorts, sum(k.closes) AS closes, sum(k.holds) AS holds,
               min(t.created_at) AS begins, max(t.finished_at) AS ends, min(t.number) AS first
          FROM t LEFT JOIN bot_decisions d ON d.id = t.decision_id AND d.bot_id = %(bot)s
          LEFT JOIN LATERAL (
              SELECT count(*) FILTER (WHERE one ->> 'action' = 'LONG') AS longs,
                     count(*) FILTER (WHERE one ->> 'action' = 'SHORT') AS shorts,
                     count(*) FILTER (WHERE one ->> 'action' = 'CLOSE') AS closes,
                     count(*) FILTER (WHERE one ->> 'action' = 'HOLD') AS holds
                FROM jsonb_array_elements(CASE jsonb_typeof(d.decisions_json) WHEN 'array' THEN d.decisions_json END) one
          ) k ON true
         GROUP BY t.prompt_id
    ), opened AS (
        SELECT DISTINCT ON (e.position_id) e.position_id, t.prompt_id
          FROM t JOIN trades e ON e.decision_id = t.decision_id AND e.bot_id = %(bot)s AND e.trade_type = 'entry'
         ORDER BY e.position_id, e.executed_at, e.id
    ), gained AS (
        SELECT o.prompt_id, count(*) FILTER (WHERE p.status = 'closed') AS closed,
               count(*) FILTER (WHERE p.status = 'open') AS open,
               count(*) FILTER (WHERE p.status = 'closed' AND p.realized_pnl > 0) AS wins,
               sum(p.realized_pnl) FILTER (WHERE p.status = 'closed') AS pnl
          FROM opened o JOIN positions p ON p.id = o.position_id GROUP BY o.prompt_id
    ), spent AS (
        SELECT t.prompt_id, sum(coalesce(c.cost, c.estimated_cost)) AS cost,
               bool_or(c.cost IS NULL AND c.estimated_cost = 0 AND c.status <> 'failed') AS is_unknown,
               sum(c.input_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens
          FROM t JOIN llm_calls c ON c.turn_id = t.id AND c.purpose = 'turn' GROUP BY t.prompt_id
    )
    SELECT v.id, v.number, v.text, v.made_at, v.made_by, v.note, v.id = p.prompt_id, coalesce(c.turns, 0),
           coalesce(c.done, 0), coalesce(c.executed, 0), coalesce(c.refused, 0), coalesce(c.unreadable, 0),
           coalesce(c.failed, 0), coalesce(c.skipped, 0), coalesce(c.longs, 0)::int, coalesce(c.shorts, 0)::int,
           coalesce(c.closes, 0)::int, coalesce(c.holds, 0)::int, coalesce(g.closed, 0), coalesce(g.open, 0),
           coalesce(g.wins, 0), g.pnl, CASE WHEN NOT s.is_unknown THEN s.cost END, s.input_tokens, s.output_tokens,
           c.begins, c.ends,
           (SELECT (b.briefing ->> 'equity')::numeric FROM arena_turns b
             WHERE b.bot_id = %(bot)s AND b.prompt_id = v.id AND b.briefing ->> 'equity' IS NOT NULL
             ORDER BY b.number LIMIT 1)
      FROM arena_prompts v
      LEFT JOIN arena_participants p ON p.bot_id = v.bot_id
      LEFT JOIN counted c ON c.prompt_id = v.id LEFT JOIN gained g ON g.prompt_id = v.id
      LEFT JOIN spent s ON s.prompt_id = v.id
     WHERE v.bot_id = %(bot)s AND (%(tenant)s::uuid IS NULL OR v.client_id = %(tenant)s) ORDER BY v.number DESC
"""
_EQUITY = """
    SELECT a.balance + coalesce(sum(o.size + o.unrealized_pnl), 0), count(*) FILTER (WHERE o.id IS NOT NULL AND o.unrealized_pnl IS NULL)
      FROM bot_accounts a LEFT JOIN positions o ON o.bot_id = a.bot_id AND o.status = 'open'
     WHERE a.bot_id = %(bot)s GROUP BY a.balance
"""  # noqa: E501 - a line of SQL


@dataclass(frozen=True, slots=True)
class PromptFigures:
    """One version. Money in the bot's currency, cost in US dollars; None: not known, or nothing of it happened."""

    id: UUID
    number: int
    text: str
    made_at: datetime
    made_by: str
    note: str
    is_current: bool
    turns: int
    done: int
    executed: int  # turns in which all that was asked for was done, or a HOLD was read
    refused: int  # turns in which something was not
    unreadable: int
    failed: int  # without an answer
    skipped: int  # nobody was asked
    longs: int  # decisions of that kind
    shorts: int
    closes: int
    holds: int
    closed_trades: int  # positions that it opened and that are closed
    open_positions: int
    wins: int
    realized_pnl: Decimal | None  # net of fees
    cost: Decimal | None
    input_tokens: int | None
    output_tokens: int | None
    begins: datetime | None  # its first turn
    ends: datetime | None  # its last
    start_equity: Decimal | None  # when its first turn began
    end_equity: Decimal | None = None  # when the next version's began, or now

    @property
    def executed_ratio(self) -> Decimal | None:
        return amount(Decimal(self.executed) / self.done) if self.done else None

    @property
    def win_ratio(self) -> Decimal | None:
        return amount(Decimal(self.wins) / self.closed_trades) if self.closed_trades else None

    @property
    def return_ratio(self) -> Decimal | None:
        """Of the bot's equity while it was in force, whoever had opened what it held."""
        if self.start_equity is None or self.end_equity is None or not self.start_equity:
            return None
        return amount(self.end_equity / self.start_equity - 1)


def prompt_figures(*, scope: Scope, bot_id: UUID) -> list[PromptFigures]:
    """Every version of a bot's prompt, the newest first; empty for another tenant's."""
    with scope.transaction():
        rows = fetch_all(_VERSIONS, {"bot": bot_id, "tenant": scope.client_id})
        now = fetch_one(_EQUITY, {"bot": bot_id}) if rows else None
    end = None if now is None or now[1] else now[0]
    found = []
    for row in rows:
        one = PromptFigures(*row)
        if one.turns:
            one, end = replace(one, end_equity=end), one.start_equity
        found.append(one)
    return found


def prompt_json(one: PromptFigures) -> dict[str, Any]:
    """As the API shows it."""
    return {
        "id": one.id, "number": one.number, "text": one.text, "made_at": one.made_at, "made_by": one.made_by,
        "note": one.note, "is_current": one.is_current, "first_turn_at": one.begins, "last_turn_at": one.ends,
        "turns": {"all": one.turns, "done": one.done, "executed": one.executed, "refused": one.refused,
                  "unreadable": one.unreadable, "failed": one.failed, "skipped": one.skipped},
        "decisions": {"LONG": one.longs, "SHORT": one.shorts, "CLOSE": one.closes, "HOLD": one.holds},
        "executed_ratio": one.executed_ratio, "closed_trades": one.closed_trades, "open_positions": one.open_positions,
        "win_ratio": one.win_ratio, "realized_pnl": one.realized_pnl, "start_equity": one.start_equity,
        "end_equity": one.end_equity, "return_ratio": one.return_ratio, "cost_usd": one.cost,
        "input_tokens": one.input_tokens, "output_tokens": one.output_tokens,
    }  # fmt: skip
