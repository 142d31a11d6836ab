from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from clients.models import AuditEntry, Client, Connector
from tests.fixtures import EVM, Caller, Cast

SOLANA = "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"
CLIENT_FIELDS = (
    "id client_id name account_identifier email status role tier settings wallet_address wallet_type wallets connectors "
    "created_at updated_at"
).split()


def test_creates_a_client_with_wallet_and_connector_in_one_go(cast: Cast) -> None:
    answer = cast.operator.post(
        "/clients/create",
        {
            "name": "Sharp Foundation",
            "email": "ops@sharp.example",
            "settings": {"ratio": 0.1},
            "wallets": [{"chain": "solana", "address": SOLANA}],
            "connectors": [
                {"name": "KuCoin", "label": "main", "api_key": "abcd0123456789wxyz", "api_secret": "s", "memo": "m"}
            ],
        },
    )
    assert answer.status == 201, answer.body
    body = answer.body
    assert set(CLIENT_FIELDS) <= set(body)
    assert body["account_identifier"] == "client_sharp_foundation" and body["role"] == "client"
    assert body["wallet_address"] == SOLANA and body["wallet_type"] == "solana"
    assert body["settings"] == {"ratio": 0.1}
    [connector] = body["connectors"]
    assert connector | {"id": "", "created_at": ""} == {
        "id": "",
        "name": "kucoin",
        "label": "main",
        "has_credentials": True,
        "key_hint": "abcd…wxyz",
        "created_at": "",
    }
    assert body["created_at"].endswith("Z")
    assert cast.operator.get(f"/clients/{body['id']}").body == body


def test_leaves_nothing_behind_when_one_part_is_refused(cast: Cast) -> None:
    answer = cast.operator.post(
        "/clients/create",
        {
            "name": "Half",
            "wallets": [{"chain": "solana", "address": SOLANA}],
            "connectors": [{"name": "kucoin", "api_key": "only"}],
        },
    )
    assert answer.status == 400 and "api_secret" in answer.body["detail"]
    assert not Client.objects.filter(name="Half").exists()
    assert cast.operator.get(f"/clients/by-wallet/{SOLANA}").status == 404


def test_refuses_a_taken_identifier_with_its_name(cast: Cast) -> None:
    answer = cast.operator.post("/clients/create", {"name": "x", "account_identifier": "client_acme"})
    assert answer.status == 400
    assert answer.body["detail"] == "Account identifier 'client_acme' already exists"


def test_many_at_once_make_one_client_of_an_identifier(cast: Cast) -> None:
    barrier = threading.Barrier(8)

    def make(_: int) -> int:
        caller = Caller(cast.operator.key)
        barrier.wait()
        try:
            return caller.post("/clients/create", {"name": "Race", "account_identifier": "client_race"}).status
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(make, range(8)))
    assert statuses == [201] + [400] * 7


def test_finds_a_wallet_in_any_letter_case_only_where_the_chain_says_so(cast: Cast) -> None:
    cast.operator.put(f"/clients/{cast.acme}/wallet", {"chain": "solana", "address": SOLANA})
    for spelling in (EVM, EVM.lower(), "0x" + EVM[2:].upper(), SOLANA):
        found = cast.operator.get(f"/clients/by-wallet/{spelling}")
        assert found.status == 200 and found.body["account_identifier"] == "client_acme", spelling
        assert {"client_id", "name", "role", "management_mode", "wallets", "connectors"} <= set(found.body)
    missing = cast.operator.get(f"/clients/by-wallet/{SOLANA.lower()}")
    assert missing.status == 404 and missing.body["detail"] == "No client found for this wallet address"


def test_gives_one_wallet_to_one_client(cast: Cast) -> None:
    taken = cast.operator.put(f"/clients/{cast.globex}/wallet", {"chain": "evm", "address": EVM.lower()})
    assert taken.status == 400 and taken.body["code"] == "wallet_taken"
    again = cast.operator.put(f"/clients/{cast.acme}/wallet", {"chain": "evm", "address": EVM.lower()})
    assert again.status == 200 and len(again.body["wallets"]) == 1


def test_changes_and_removes_wallets_and_connectors(cast: Cast) -> None:
    wallet = cast.operator.get(f"/clients/{cast.acme}").body["wallets"][0]["id"]
    changed = cast.acme_manages.put(f"/clients/{cast.acme}/wallet/{wallet}", {"chain": "solana", "address": SOLANA})
    assert changed.body["wallet_address"] == SOLANA
    removed = cast.acme_manages.delete(f"/clients/{cast.acme}/wallet/{wallet}")
    assert removed.body == {"status": "deleted", "wallet_id": wallet, "client_id": str(cast.acme)}
    assert cast.acme_manages.delete(f"/clients/{cast.acme}/wallet/{wallet}").status == 404

    second = {"name": "kucoin", "label": "two", "api_key": "k2", "api_secret": "s2"}
    added = cast.acme_manages.put(f"/clients/{cast.acme}/connector", second)
    assert [c["label"] for c in added.body["connectors"]] == ["", "two"]
    two = added.body["connectors"][1]["id"]
    renamed = cast.acme_manages.put(f"/clients/{cast.acme}/connector/{two}", {"label": "deux"})
    assert renamed.body["connectors"][1]["label"] == "deux"
    gone = cast.acme_manages.delete(f"/clients/{cast.acme}/connector/{two}")
    assert gone.body == {"status": "deleted", "connector_id": two, "client_id": str(cast.acme)}
    row = Connector.objects.get(id=two)
    assert row.retired_at and row.api_key is None and row.api_secret is None


def test_new_credentials_count_a_version_and_store_no_plain_text(cast: Cast) -> None:
    before = Connector.objects.get(client_id=cast.acme)
    cast.acme_manages.put(
        f"/clients/{cast.acme}/connector", {"name": "kucoin", "api_key": "new-key", "api_secret": "new-secret"}
    )
    after = Connector.objects.get(client_id=cast.acme)
    assert after.credentials_version == before.credentials_version + 1
    assert after.api_secret.open() == "new-secret" and after.passphrase is None
    assert "new-secret" not in after.api_secret.token


def test_a_client_changes_its_name_but_not_what_operators_decide(cast: Cast) -> None:
    changed = cast.acme_manages.put(
        f"/clients/{cast.acme}", {"name": "Acme & Co", "tier": "gold", "status": "suspended"}
    )
    assert changed.body["name"] == "Acme & Co"
    assert changed.body["tier"] == "standard" and changed.body["status"] == "active"
    assert cast.acme_reads.put(f"/clients/{cast.acme}", {"name": "no"}).status == 403


def test_a_suspended_clients_keys_are_off(cast: Cast) -> None:
    cast.operator.put(f"/clients/{cast.acme}", {"status": "suspended"})
    assert cast.acme_manages.get("/clients").status == 401
    cast.operator.put(f"/clients/{cast.acme}", {"status": "active"})
    assert cast.acme_manages.get("/clients").status == 200


def test_pages_by_cursor_and_by_offset_without_gaps(cast: Cast) -> None:
    for number in range(5):
        cast.operator.post("/clients/create", {"name": f"Client {number}"})
    everything = [c["id"] for c in cast.operator.get("/clients").body["clients"]]
    seen, cursor = [], ""
    while cursor is not None:
        page = cast.operator.get(f"/clients?limit=3&cursor={cursor}").body
        seen += [c["id"] for c in page["clients"]]
        cursor = page["next"]
    assert seen == everything and len(everything) == 7
    second = cast.operator.get("/clients?limit=3&offset=3").body
    assert second["pagination"] == {"total": 7, "limit": 3, "offset": 3, "hasMore": True}
    assert [c["id"] for c in second["clients"]] == everything[3:6]
    for bad in ("limit=0", "limit=501", "limit=x", "offset=-1", "cursor=abc", "cursor=WyJhIiwiYiJd"):
        assert cast.operator.get(f"/clients?{bad}").status == 400, bad


def test_deletes_a_client_so_that_a_new_one_may_take_its_place_and_gets_none_of_its_rows(cast: Cast) -> None:
    assert cast.operator.delete(f"/clients/{cast.acme}").body == {"status": "deleted", "client_id": str(cast.acme)}
    for path in (f"/clients/{cast.acme}", f"/bots/{cast.acme_bot}", f"/clients/by-wallet/{EVM}"):
        assert cast.operator.get(path).status == 404
    assert "acme" not in str(cast.operator.get("/clients").body) + str(cast.operator.get("/bots").body)
    assert cast.acme_manages.get("/bots").status == 401
    heir = cast.operator.post(
        "/clients/create",
        {"name": "Acme again", "account_identifier": "client_acme", "wallets": [{"chain": "evm", "address": EVM}]},
    )
    assert heir.status == 201 and heir.body["connectors"] == []
    assert cast.operator.get("/bots?account=client_acme").body["bots"] == []
    old = Connector.objects.get(client_id=cast.acme)
    assert old.api_secret is None and AuditEntry.objects.filter(client_id=cast.acme, table_name="bots").exists()


def test_refuses_to_delete_a_client_whose_bot_runs_unless_an_operator_insists(cast: Cast) -> None:
    cast.operator.post(f"/bots/{cast.acme_bot}/start")
    refused = cast.operator.delete(f"/clients/{cast.acme}")
    assert refused.status == 409 and "acme maker" in refused.body["detail"]
    assert cast.acme_manages.delete(f"/clients/{cast.acme}?force=true").status == 403
    forced = cast.operator.delete(f"/clients/{cast.acme}?force=true")
    assert forced.status == 202 and forced.body["status"] == "deleting"
    from bridge_project.tasks import finish_deletions_task

    finish_deletions_task()
    finish_deletions_task()
    assert cast.operator.get(f"/clients/{cast.acme}").status == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": 5},
        {"name": ["x"]},
        {"name": "x" * 201},
        {"name": "x", "settings": []},
        {"name": "x", "email": "nope"},
        {"name": "x", "wallets": {}},
        {"name": "x", "wallets": [{"chain": "evm"}]},
        {"name": "x", "connectors": ["kucoin"]},
        {"name": "株式会社"},
        {"name": "x", "account_identifier": "a b"},
        {"name": "x", "account_identifier": "admin"},
    ],
)
def test_says_why_a_client_is_refused(cast: Cast, body: dict[str, object]) -> None:
    answer = cast.operator.post("/clients/create", body)
    assert answer.status == 400 and answer.body["detail"] and answer.body["code"], answer.body


def test_the_audit_tells_who_and_why_without_secrets(cast: Cast) -> None:
    cast.acme_manages.put(f"/clients/{cast.acme}", {"name": "Renamed"})
    entry = AuditEntry.objects.filter(table_name="clients", action="UPDATE").first()
    assert entry is not None
    assert entry.actor == f"key:{cast.acme_manages.key[:14]}" and entry.reason == "client changed"
    assert (entry.before, entry.after) == ({"name": "acme"}, {"name": "Renamed"})
    cast.acme_manages.put(
        f"/clients/{cast.acme}/connector", {"name": "kucoin", "api_key": "planted-key", "api_secret": "planted-secret"}
    )
    entry = AuditEntry.objects.filter(table_name="connectors", action="UPDATE").first()
    assert entry is not None and entry.after["api_secret"] == "(changed)"
    assert "planted" not in str(list(AuditEntry.objects.values()))
