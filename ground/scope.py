"""Who is asking, and the database transaction that is opened for them.

Every service and selector takes a ``Scope``. Its ``transaction()`` opens a transaction as a database role that owns
nothing (``bridge_client`` for one tenant, ``bridge_operator`` for all) and tells row-level security and the audit
trigger who acts and why. Queries made inside are routed there by ``ScopeRouter``; code outside of any scope
(migrations, management commands) runs as the owner on the alias ``default``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import OperationalError, connections, transaction

from ground.prepared import fetch_prepared

OWNER_ALIAS = "default"
OPERATOR_ALIAS = "operator"
CLIENT_ALIAS = "client"

_SET_CONTEXT = (
    "SELECT set_config('app.client', %s, true), set_config('app.actor', %s, true), set_config('app.reason', %s, true)"
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may touch.

    ``client_id`` None means every tenant. ``bot_id`` narrows a ping key to one bot. ``actor`` is what the audit shows:
    ``operator:alice``, ``key:tbc_ab12cd34``, ``system:health``.
    """

    actor: str
    client_id: UUID | None = None
    can_manage: bool = True
    bot_id: UUID | None = None

    @property
    def alias(self) -> str:
        return OPERATOR_ALIAS if self.client_id is None and self.bot_id is None else CLIENT_ALIAS

    @property
    def is_operator(self) -> bool:
        return self.client_id is None and self.bot_id is None

    @contextmanager
    def transaction(self, *, reason: str = "") -> Iterator[None]:
        """Open this scope's transaction, or join the one that is open. Commits at the end, rolls back on an error."""
        current = _open.get()
        if current is not None and not current.primed:
            if current.scope != self:
                raise RuntimeError("A transaction of another scope is open; finish it first.")
            _give_reason(current, reason)
            yield
            return
        if current is not None and current.scope == self:
            current.primed = False
            _give_reason(current, reason)
        else:
            close_primed()
            current = _begin(self, _SET_CONTEXT, [str(self.client_id or ""), self.actor, reason])[0]
        yield from _finish(current)


@dataclass(slots=True)
class _OpenTransaction:
    scope: Scope | None
    alias: str
    atomic: transaction.Atomic
    primed: bool = False


_outside: str = OWNER_ALIAS  # where queries go while no scope is open


def use_operator_outside_scopes() -> None:
    """Called once by the web and worker processes: what runs there outside of a scope (sessions, the admin's lists) logs
    in as operators do, and never as the owner."""
    global _outside  # noqa: PLW0603 - one switch per process, set before anything runs
    _outside = OPERATOR_ALIAS


_open: ContextVar[_OpenTransaction | None] = ContextVar("bridge_open_transaction", default=None)


def system_scope(name: str) -> Scope:
    """The scope of a worker: every tenant, named ``system:<name>`` in the audit."""
    return Scope(actor=f"system:{name}")


def current_scope() -> Scope | None:
    """The scope whose transaction is open, or None."""
    current = _open.get()
    return current.scope if current else None


def current_alias() -> str:
    """The connection that queries go to now: the open scope's, else the process's own."""
    current = _open.get()
    return current.alias if current else _outside


def on_commit(call: Callable[[], Any]) -> None:
    """Run ``call`` after the open scope's transaction has committed; at once when none is open."""
    transaction.on_commit(call, using=current_alias())


def assert_no_transaction() -> None:
    """Gateways call this first: an outside call must never hold a transaction open."""
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            raise RuntimeError("An outside call was about to be made while a database transaction is open.")


def prime(alias: str, sql: str, params: list[Any], scope_of: Callable[[tuple[Any, ...]], Scope]) -> Scope | None:
    """Begin a transaction with a statement that both finds out who is asking and sets the context for them.

    Used by authentication: the first ``Scope.transaction()`` of the scope found goes on in this same transaction, so a
    plain read costs one statement less. Returns None (and leaves nothing open) when the statement finds no row.
    """
    close_primed()
    current, row = _begin(None, sql, params, alias=alias)
    if row is None:
        _leave(current)
        return None
    current.scope, current.primed = scope_of(row), True
    return current.scope


def ask(alias: str, sql: str, params: dict[str, Any]) -> tuple[Any, ...] | None:
    """The first row of one statement that is a transaction by itself: it must set its own context, as look-ups of keys do.

    For reads that come along with the look-up: one trip to the database instead of four.
    """
    close_primed()
    if _open.get() is not None:
        raise RuntimeError("A transaction is open; finish it first.")
    try:
        return fetch_prepared(alias, sql, params)
    except OperationalError:
        connections[alias].close()  # the server was restarted; the statement is a read, so a second one is safe
        return fetch_prepared(alias, sql, params)


def close_primed() -> None:
    """End a transaction that authentication began and nobody used."""
    current = _open.get()
    if current is not None and current.primed:
        _leave(current)


class ScopeRouter:
    """Sends queries to the connection of the open scope, and migrations to the owner."""

    def db_for_read(self, model: type, **hints: Any) -> str:
        return current_alias()

    db_for_write = db_for_read

    def allow_relation(self, first: object, second: object, **hints: Any) -> bool:
        return True  # all aliases are one database

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == OWNER_ALIAS


def _begin(
    scope: Scope | None, sql: str, params: list[Any], *, alias: str | None = None
) -> tuple[_OpenTransaction, tuple[Any, ...] | None]:
    alias = alias or (scope.alias if scope else OWNER_ALIAS)
    for attempt in (1, 2):
        atomic = transaction.atomic(using=alias)
        atomic.__enter__()
        try:
            row = fetch_prepared(alias, sql, params)
        except OperationalError as error:
            atomic.__exit__(type(error), error, error.__traceback__)
            if attempt == 2:
                raise
            connections[alias].close()  # the server was restarted; nothing has been done yet, so a fresh one is safe
        except BaseException as error:
            atomic.__exit__(type(error), error, error.__traceback__)
            raise
        else:
            current = _OpenTransaction(scope, alias, atomic)
            _open.set(current)
            return current, row
    raise AssertionError("unreachable")


def _give_reason(current: _OpenTransaction, reason: str) -> None:
    """Tell the audit why; the innermost service that says so knows best."""
    if reason:
        fetch_prepared(current.alias, "SELECT set_config('app.reason', %s, true)", [reason])


def _finish(current: _OpenTransaction) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        _open.set(None)
        current.atomic.__exit__(type(error), error, error.__traceback__)
        raise
    _open.set(None)
    current.atomic.__exit__(None, None, None)


def _leave(current: _OpenTransaction) -> None:
    _open.set(None)
    current.atomic.__exit__(None, None, None)
