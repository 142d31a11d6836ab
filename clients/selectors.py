"""Reads of clients. The database builds their JSON: the hot reads take half the time of serializers that way."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from clients.rules.identifiers import address_key
from ground.errors import Conflict, NotFound
from ground.keyset import Page, encode_cursor
from ground.scope import Scope
from ground.sql import fetch_all, fetch_hot, fetch_one

# A client as the API shows it. Secrets are not even selected.
_CLIENT = """
    SELECT c.id, c.id AS client_id, c.name, c.account_identifier, c.email, c.status, 'client' AS role, c.tier, c.settings,
           c.management_mode, w.first ->> 'address' AS wallet_address, w.first ->> 'chain' AS wallet_type,
           coalesce(w.rows, '[]') AS wallets, coalesce(k.rows, '[]') AS connectors,
           bridge_iso(c.created_at) AS created_at, bridge_iso(c.updated_at) AS updated_at
      FROM (SELECT * FROM clients c WHERE {where} ORDER BY c.created_at, c.id {page}) c
      LEFT JOIN LATERAL (
        SELECT json_agg(r) AS rows, json_agg(r) -> 0 AS first FROM (
            SELECT w.id, w.chain, w.address, bridge_iso(w.created_at) AS created_at FROM wallets w
             WHERE w.client_id = c.id ORDER BY w.created_at, w.id) r
      ) w ON true
      LEFT JOIN LATERAL (
        SELECT json_agg(r) AS rows FROM (
            SELECT k.id, k.name, k.label, k.api_secret IS NOT NULL AS has_credentials, k.key_hint,
                   bridge_iso(k.created_at) AS created_at FROM connectors k
             WHERE k.client_id = c.id AND k.retired_at IS NULL ORDER BY k.created_at, k.id) r
      ) k ON true
     ORDER BY c.created_at, c.id
"""
_IN_SCOPE = "c.retired_at IS NULL AND (%(tenant)s::uuid IS NULL OR c.id = %(tenant)s)"
_ONE = f"SELECT row_to_json(t)::text FROM ({_CLIENT.format(where=_IN_SCOPE + ' AND c.id = %(id)s', page='')}) t"  # noqa: S608


def wallet_statement(where: str) -> str:
    """One row, the client that has the wallet ``key`` as JSON text, or none."""
    return f"""
        SELECT row_to_json(t)::text FROM (
            SELECT c.id AS client_id, c.account_identifier, c.name, 'client' AS role, c.management_mode,
                   (SELECT json_agg(r) FROM (SELECT o.id, o.chain, o.address, bridge_iso(o.created_at) AS created_at
                      FROM wallets o WHERE o.client_id = c.id ORDER BY o.created_at, o.id) r) AS wallets,
                   (SELECT coalesce(json_agg(r), '[]') FROM (SELECT n.id, n.name FROM connectors n
                     WHERE n.client_id = c.id AND n.retired_at IS NULL ORDER BY n.created_at, n.id) r) AS connectors
              FROM wallets w JOIN clients c ON c.id = w.client_id
             WHERE w.address_key = %(key)s AND {where}
        ) t
    """  # noqa: S608 - made of constants


BY_WALLET = wallet_statement(_IN_SCOPE)


def client_json(scope: Scope, client_id: UUID) -> str:
    """One client as JSON text. Raises NotFound."""
    with scope.transaction():
        row = fetch_hot(_ONE, {"tenant": scope.client_id, "id": client_id})
    if row is None:
        raise NotFound("There is no such client.")
    return str(row[0])


def client_by_wallet_json(scope: Scope, address: str) -> str:
    """Whose wallet this is, as JSON text. Raises NotFound."""
    with scope.transaction():
        row = fetch_hot(BY_WALLET, {"tenant": scope.client_id, **wallet_params(address)})
    return wallet_answer(row)


def wallet_params(address: str) -> dict[str, Any]:
    """What ``BY_WALLET`` needs besides the tenant."""
    return {"key": address_key(address.replace("\x00", "�"))}


def wallet_answer(row: tuple[Any, ...] | None) -> str:
    """The JSON text in the row of ``BY_WALLET``. Raises NotFound."""
    if row is None or row[0] is None:
        raise NotFound("No client found for this wallet address")
    return str(row[0])


def resolve_client(scope: Scope, given: str) -> UUID:
    """The id of the client named by our id or by its old system's. Raises NotFound, or Conflict with the candidates."""
    with scope.transaction():
        rows = fetch_all(
            f"SELECT c.id FROM clients c WHERE {_IN_SCOPE} AND (c.id = %(uuid)s OR c.source_id = %(text)s) "  # noqa: S608
            "AND %(text)s <> '' LIMIT 20",
            {"tenant": scope.client_id, "uuid": as_uuid(given), "text": given[:200]},
        )
    return the_one([row[0] for row in rows], "client")


def the_one(ids: list[UUID], what: str) -> UUID:
    """The only id. Raises NotFound for none, Conflict for several."""
    if not ids:
        raise NotFound(f"There is no such {what}.")
    if len(ids) > 1:
        raise Conflict(
            f"Several old systems used this id for a {what}; use one of the candidates.",
            code="ambiguous_id",
            candidates=sorted(str(i) for i in ids),
        )
    return ids[0]


def as_uuid(text: str) -> UUID | None:
    """The text as a UUID, or None."""
    try:
        return UUID(text) if len(text) in (32, 36) else None
    except ValueError:
        return None


def clients_page(scope: Scope, page: Page, *, search: str = "", status: str = "") -> dict[str, Any]:
    """``{rows: JSON text of a list, total, next}`` of the clients in scope, oldest first."""
    where = [_IN_SCOPE]
    params: dict[str, Any] = {"tenant": scope.client_id, "limit": page.limit + 1, "offset": page.offset or 0}
    if search:
        where.append("(c.name ILIKE %(like)s OR c.account_identifier ILIKE %(like)s OR c.email ILIKE %(like)s)")
        params["like"] = "%" + search.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"
    if status:
        where.append("c.status = %(status)s")
        params["status"] = status
    matching = " AND ".join(where)
    if page.cursor:
        where.append("(c.created_at, c.id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)")
        params |= page.after()
    rows = _CLIENT.format(where=" AND ".join(where), page="LIMIT %(limit)s OFFSET %(offset)s")
    with scope.transaction():
        total = fetch_one(f"SELECT count(*) FROM clients c WHERE {matching}", params)  # noqa: S608
        found = fetch_all(f"SELECT row_to_json(t)::text, t.created_at, t.id FROM ({rows}) t", params)  # noqa: S608
    shown = found[: page.limit]
    return {
        "rows": "[" + ",".join(row[0] for row in shown) + "]",
        "total": total[0] if total else 0,
        "next": encode_cursor(shown[-1][1], shown[-1][2]) if len(found) > page.limit else None,
    }
