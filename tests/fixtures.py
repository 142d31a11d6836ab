"""The database as it is after migrations, a small cast (acme has everything, globex must see none of it), and callers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.test import Client as HttpClient
from whitenoise.middleware import WhiteNoiseMiddleware

from bots.services.manage_bots import create_bot
from bots.services.ship_templates import ship_templates
from clients.rules.words import KeyKind, KeyScope
from clients.services.keys import create_api_key
from clients.services.manage_clients import create_client
from ground.scope import Scope, close_primed, system_scope
from tests.databases import make_own_database

OPERATOR = Scope(actor="operator:tests")
EVM = "0x6CC52d4b397E0DdFDcd1ecbB37902003C4801685"
MOST_DELETED = 5_000
_KEPT = "('django_migrations', 'django_content_type', 'auth_permission')"
_TABLES = f"""
    SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN {_KEPT} ORDER BY 1
"""
_NUMBER_ANEW = f"""
    SELECT setval(quote_ident(sequencename)::regclass, start_value, false) FROM pg_sequences
     WHERE schemaname = 'public' AND last_value IS NOT NULL AND replace(sequencename, '_id_seq', '') NOT IN {_KEPT}
"""
_deleted = 0


def _find_static_files_once() -> None:
    """WhiteNoise looks for them anew for every client of a test: that took longer than all its requests."""
    look, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def look_once(self: WhiteNoiseMiddleware) -> None:
        if not found:
            look(self)
            found.update(self.files)
        self.files.update(found)

    WhiteNoiseMiddleware.add_files_from_finders = look_once


_find_static_files_once()


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """One migrated database a process, whichever aliases its tests use. It goes with the servers of the run."""
    with django_db_blocker.unblock():
        worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
        make_own_database(f"test_bridge_{worker}", roles=settings.DATABASE_ROLE_PREFIX)
        yield
        connections.close_all()


@pytest.fixture
def database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The real database with its roles and policies, no wrapping transaction; emptied afterwards."""
    with django_db_blocker.unblock():
        ship_templates(scope=system_scope("tests"))
        yield
        close_primed()
        _empty()


def _empty(*, anew: bool = False) -> None:
    """Every row goes and numbers begin anew. Deleting few rows takes a thirtieth of the time of TRUNCATE, which makes the
    files of each table ``anew``; what deleted rows leave behind goes with one now and then."""
    global _deleted
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TABLES)
        tables = [name for (name,) in cursor.fetchall()]
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")  # whoever still writes is waited for
        cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers: neither audit nor references
        cursor.execute("; ".join(f"DELETE FROM {name}" for name in tables))
        _deleted += cursor.rowcount
        while cursor.nextset():
            _deleted += cursor.rowcount
        cursor.execute(_NUMBER_ANEW)
        if anew or _deleted > MOST_DELETED:
            cursor.execute(f"TRUNCATE {', '.join(tables)}")
            _deleted = 0
    for alias in ("operator", "client"):
        connections[alias].close()


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any


@dataclass
class Caller:
    """Sends requests through the whole middleware stack with one key."""

    key: str | None = None
    http: HttpClient = field(default_factory=lambda: HttpClient(raise_request_exception=False))

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        answer = self.http.generic(method, path, raw, content_type="application/json", headers=headers)
        content = b"".join(answer) if answer.streaming else answer.content
        try:
            parsed = json.loads(content)
        except ValueError:
            parsed = content.decode(errors="replace")
        return Answer(answer.status_code, parsed, answer.headers)

    def get(self, path: str, **headers: str) -> Answer:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self("POST", path, {} if body is None else body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        return self("PUT", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        return self("DELETE", path, **headers)


@dataclass
class Cast:
    """Two clients with a bot each, and everybody's keys."""

    acme: UUID
    globex: UUID
    acme_bot: UUID
    globex_bot: UUID
    operator: Caller
    acme_manages: Caller
    acme_reads: Caller
    globex_manages: Caller
    acme_bot_pings: Caller
    nobody: Caller


@pytest.fixture
def cast(database: None) -> Cast:
    """Acme has a wallet, a connector with credentials, a bot and keys; globex has the same of its own."""
    acme, acme_bot = _member("acme", EVM, "kucoin")
    globex, globex_bot = _member("globex", "0x" + "1" * 40, "kucoin")
    return Cast(
        acme,
        globex,
        acme_bot,
        globex_bot,
        operator=Caller(make_key(KeyKind.OPERATOR, KeyScope.MANAGE)),
        acme_manages=Caller(make_key(KeyKind.CLIENT, KeyScope.MANAGE, client_id=acme)),
        acme_reads=Caller(make_key(KeyKind.CLIENT, KeyScope.READ, client_id=acme)),
        globex_manages=Caller(make_key(KeyKind.CLIENT, KeyScope.MANAGE, client_id=globex)),
        acme_bot_pings=Caller(make_key(KeyKind.BOT, KeyScope.PING, client_id=acme, bot_id=acme_bot)),
        nobody=Caller(),
    )


def make_key(kind: KeyKind, scope: KeyScope, **owner: Any) -> str:
    """An API key's token."""
    return create_api_key(scope=OPERATOR, kind=kind, key_scope=scope, **owner)


def make_bot(account: str, **fields: Any) -> UUID:
    """A bot of a client, external and never started unless said otherwise."""
    given = {
        "connector": "kucoin",
        "pair": "BTC/USDT",
        "name": "maker",
        "strategy": "spread",
        "runtime_kind": "external",
    }
    return create_bot(scope=OPERATOR, account=account, **{**given, **fields})


def _member(name: str, wallet: str, exchange: str) -> tuple[UUID, UUID]:
    client = create_client(
        scope=OPERATOR,
        name=name,
        account_identifier=f"client_{name}",
        wallets=[{"chain": "evm", "address": wallet}],
        connectors=[
            {
                "name": exchange,
                "api_key": f"key-of-{name}-0123456789",
                "api_secret": f"secret-of-{name}",
                "memo": f"memo-of-{name}",
            }
        ],
    )
    return client, make_bot(f"client_{name}", name=f"{name} maker")
