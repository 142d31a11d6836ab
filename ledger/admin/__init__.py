"""The ledger in the admin: a page for every table, and what a bot's own page shows of it."""

from __future__ import annotations

from ledger.admin import accounts, decisions, figures, imports, operations, positions, snapshots, trades

__all__ = ["accounts", "decisions", "figures", "imports", "operations", "positions", "snapshots", "trades"]
