from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.urls import URLPattern, get_resolver
from django.utils import timezone

from clients.models import ApiKey
from clients.rules.words import KeyKind, KeyScope
from ground.scope import Scope, assert_no_transaction
from ground.sql import fetch_all
from tests.fixtures import EVM, Caller, Cast, make_key

READS = [
    "/clients",
    "/clients/{client}",
    f"/clients/by-wallet/{EVM}",
    "/bots",
    "/bots/{bot}",
    "/bots/{bot}/health",
    "/bots/{bot}/health/history",
    "/bots/{bot}/uptime",
    "/bots/{bot}/stats",
    "/bots/{bot}/trades",
    "/bots/{bot}/timeline",
    "/bots/health/summary",
    "/metrics",
]
WRITES = [
    ("POST", "/clients/create"),
    ("PUT", "/clients/{client}"),
    ("PUT", "/clients/{client}/wallet"),
    ("PUT", "/clients/{client}/connector"),
    ("DELETE", "/clients/{client}"),
    ("POST", "/bots/create"),
    ("PUT", "/bots/{bot}"),
    ("DELETE", "/bots/{bot}"),
    ("POST", "/bots/{bot}/start"),
    ("POST", "/bots/{bot}/stop"),
    ("POST", "/bots/{bot}/clone"),
    ("POST", "/bots/{bot}/health/check"),
    ("POST", "/bots/heartbeat"),
]
PUBLIC = ["/", "/health", "/livez", "/readyz", "/api/schema", "/api/docs", "/admin/login/"]
# The arena's pages, which are not there until an operator makes them public (tests/arena/test_public_pages.py), and pings,
# whose address is their secret.
MEANT_TO_BE_OPEN = ("/arena", "/ping/")


def fill(path: str, cast: Cast) -> str:
    return path.format(client=cast.acme, bot=cast.acme_bot)


def test_only_the_public_list_answers_without_a_key(cast: Cast) -> None:
    for key in (None, "nonsense", "tbo_aaaaaaaaaa_" + "a" * 43, (cast.operator.key or "")[:-1] + "#"):
        stranger = Caller(key)
        for method, path in [*(("GET", path) for path in READS), *WRITES]:
            answer = stranger(method, fill(path, cast), {} if method != "GET" else None)
            assert answer.status == 401, (key, method, path, answer.body)
            assert answer.body["code"] == "not_authenticated" and "Bearer" in answer.headers["WWW-Authenticate"]
    for path in PUBLIC:
        assert cast.nobody.get(path).status in (200, 302), path
    assert cast.nobody.get("/bots", **{"X-Wallet-Address": EVM}).status == 401
    assert cast.nobody("OPTIONS", "/bots").status in (200, 204)


def test_every_path_demands_a_key_but_those_that_are_meant_to_be_open(cast: Cast) -> None:
    """Also one that somebody adds tomorrow: the paths are read from the product."""
    told = {f"/{pattern.pattern}" for pattern in _patterns(get_resolver().url_patterns)}
    paths = {re.sub(r"<[^>]*>", "x", path) for path in told if not path.startswith("/admin")}
    assert len(paths) > 70
    for path in sorted(paths - set(PUBLIC)):
        status, is_open = cast.nobody.get(path).status, path.startswith(MEANT_TO_BE_OPEN)
        assert status == (302 if path == "/arena" else 404 if is_open else 401), (path, status)


def _patterns(found: Any) -> Iterator[URLPattern]:
    for one in found:
        if isinstance(one, URLPattern):
            yield one
        elif str(one.pattern) == "":
            yield from _patterns(one.url_patterns)


def test_globex_meets_nothing_of_acme(cast: Cast) -> None:
    globex = cast.globex_manages
    for path in READS:
        answer = globex.get(fill(path, cast))
        if "{" in path or "by-wallet" in path:
            assert answer.status == 404, (path, answer.body)
        assert "acme" not in str(answer.body), path
    for method, path in WRITES:
        answer = globex(method, fill(path, cast), {"name": "stolen", "chain": "evm", "address": "0x" + "2" * 40})
        assert answer.status in (400, 403, 404), (method, path, answer.body)
    for query in ("?account=client_acme", "?search=acme", "?limit=500", "?status=created", f"?cursor={'x' * 8}"):
        assert "acme" not in str(globex.get("/bots" + query).body), query
    foreign = globex.post(
        "/bots/create",
        {"name": "n", "account": "client_acme", "connector": "kucoin", "pair": "A/B", "strategy": "spread"},
    )
    assert foreign.status == 400 and foreign.body["detail"] == "No client found with account_identifier 'client_acme'"
    acme_connector = cast.operator.get(f"/clients/{cast.acme}").body["connectors"][0]["id"]
    mine = {"name": "n", "account": "client_globex", "connector": "kucoin", "pair": "BTC/USDT", "strategy": "spread"}
    assert globex.post("/bots/create", mine | {"connector_id": acme_connector}).status == 400
    assert cast.operator.get(f"/clients/{cast.acme}").body["name"] == "acme"


def test_a_key_does_only_what_its_scope_says(cast: Cast) -> None:
    assert cast.acme_reads.get(f"/bots/{cast.acme_bot}").status == 200
    assert cast.acme_reads.post(f"/bots/{cast.acme_bot}/start").status == 403
    assert cast.acme_manages.post("/clients/create", {"name": "Mine"}).status == 403
    assert cast.acme_manages.get("/metrics").status == 403
    assert cast.acme_bot_pings.get("/bots").status == 403
    assert cast.acme_bot_pings.post("/bots/heartbeat", {"bot_id": str(cast.globex_bot)}).status == 404
    reader = Caller(make_key(KeyKind.OPERATOR, KeyScope.READ))
    assert reader.get("/clients").status == 200 and reader.post("/clients/create", {"name": "x"}).status == 403


def test_revoked_and_expired_keys_are_off_and_use_is_noted(cast: Cast) -> None:
    cast.acme_reads.get("/bots")
    key = ApiKey.objects.get(prefix=(cast.acme_reads.key or "")[:14])
    assert key.last_used_at is not None and (cast.acme_reads.key or "") not in str(vars(key))
    ApiKey.objects.filter(id=key.id).update(revoked_at=timezone.now())
    assert cast.acme_reads.get("/bots").status == 401
    old = Caller(make_key(KeyKind.CLIENT, KeyScope.READ, client_id=cast.acme, expires_at=timezone.now() - timedelta(1)))
    assert old.get("/bots").status == 401


def test_an_operators_session_reads_and_writes_only_with_the_csrf_token(cast: Cast) -> None:
    from django.test import Client as HttpClient

    user = get_user_model().objects.create_user("alice", password="long enough for us", is_staff=True)
    http = HttpClient(enforce_csrf_checks=True)
    http.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert http.get("/clients").status_code == 200
    refused = http.post("/clients/create", {"name": "x"}, content_type="application/json")
    assert refused.status_code == 403 and refused.json()["detail"]
    user.is_staff = False
    user.save()
    assert http.get("/clients").status_code == 401


@pytest.mark.parametrize("alias", ["operator", "client"])
def test_request_roles_own_nothing_and_cannot_pass_the_wall(database: None, alias: str) -> None:
    role = connections[alias].settings_dict["USER"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = %s", [role])
        assert cursor.fetchone() == (False, False, False)
        cursor.execute("SELECT count(*) FROM pg_tables WHERE tableowner = %s", [role])
        assert cursor.fetchone() == (0,)


def test_every_tenant_table_has_row_level_security(database: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, count(p.polname) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public' "
            "LEFT JOIN pg_policy p ON p.polrelid = c.oid WHERE c.relkind = 'r' AND (c.relname = 'clients' OR EXISTS "
            "(SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'client_id' AND NOT a.attisdropped)) "
            "GROUP BY 1, 2, 3"
        )
        rows = cursor.fetchall()
    assert len(rows) >= 12
    for name, enabled, forced, policies in rows:
        assert enabled and not forced and policies >= 1, name


def test_the_database_itself_hides_other_tenants(cast: Cast) -> None:
    tables = ["clients", "wallets", "connectors", "bots", "bot_health", "audit_log"]
    for table in tables:
        column = "id" if table == "clients" else "client_id"
        with Scope(actor="t", client_id=cast.globex).transaction():
            seen = {row[0] for row in fetch_all(f"SELECT {column} FROM {table}")}
        assert seen == {cast.globex}, table
    with connections["client"].cursor() as cursor:  # no tenant set: no rows
        cursor.execute("SELECT count(*) FROM bots")
        assert cursor.fetchone() == (0,)
    assert_no_transaction()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log",
        "SELECT digest FROM api_keys",
        "DELETE FROM clients",
        "UPDATE bots SET client_id = gen_random_uuid()",
        "INSERT INTO clients (id, name) VALUES (gen_random_uuid(), 'x')",
    ],
)
def test_the_client_role_may_not(cast: Cast, statement: str) -> None:
    from django.db import DatabaseError

    with pytest.raises(DatabaseError), Scope(actor="t", client_id=cast.globex).transaction():
        fetch_all(statement + (" RETURNING 1" if not statement.startswith("SELECT") else ""))


def test_the_audit_cannot_be_changed_even_by_its_owner(cast: Cast) -> None:
    from django.db import DatabaseError

    with pytest.raises(DatabaseError, match="never changed"), connection.cursor() as cursor:
        cursor.execute("UPDATE audit_log SET actor = 'x'")


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"[" * 5000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'{"name":"\\u0000"}',
        b'{"name":"\\ud800"}',
        b'{"name":NaN}',
        b'{"name":"a","name":"b"}',
        b'{"name":' + b"9" * 5000 + b"}",
    ],
)
def test_malformed_bodies_get_a_sentence(cast: Cast, raw: Any) -> None:
    answer = cast.operator("POST", "/clients/create", raw)
    assert answer.status == 400 and answer.body["detail"].endswith("."), answer.body


def test_too_large_and_wrong_type_have_their_own_status(cast: Cast) -> None:
    assert cast.operator("POST", "/clients/create", b'{"name":"' + b"x" * 1_100_000 + b'"}').status == 413
    wrong = cast.operator.http.generic(
        "POST",
        "/clients/create",
        b"name=x",
        content_type="text/plain",
        headers={"Authorization": f"Bearer {cast.operator.key}"},
    )
    assert wrong.status_code == 415 and wrong.json()["code"] == "unsupported_media_type"
    assert cast.operator("PATCH", "/clients", {}).status == 405
    assert cast.operator.get("/no/such/path").status == 404


def test_idempotency_key_repeats_the_first_answer(cast: Cast) -> None:
    body = {"name": "Once"}
    first = cast.operator("POST", "/clients/create", body, **{"Idempotency-Key": "k1"})
    again = cast.operator("POST", "/clients/create", body, **{"Idempotency-Key": "k1"})
    assert (first.status, again.status) == (201, 201) and first.body == again.body
    other = cast.operator("POST", "/clients/create", {"name": "Other"}, **{"Idempotency-Key": "k1"})
    assert other.status == 409 and other.body["code"] == "idempotency_key_reused"
    assert cast.acme_manages("POST", f"/bots/{cast.acme_bot}/clone", {}, **{"Idempotency-Key": "k1"}).status == 201
