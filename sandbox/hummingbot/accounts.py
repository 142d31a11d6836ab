"""Router /accounts: one account per client, its credentials checked against the exchange inside the request."""

from __future__ import annotations

import re

from sandbox.http import Call, Reply, Routes
from sandbox.hummingbot import connectors
from sandbox.hummingbot.engine import Hummingbot
from sandbox.hummingbot.validation import detail, dict_body, required_query

ROUTES = Routes()
# What makes an exchange unreachable from the API's point of view.
_AWAY = ("drop", "server_error", "html", "empty", "garbage", "cut", "cut_connection", "lost_answer")


def _bad_name(name: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return None
    return f"Invalid account name: '{name}'. Only letters, numbers, underscores and hyphens are allowed."


@ROUTES.on("GET", "/accounts/")
def accounts(hummingbot: Hummingbot, call: Call) -> Reply:
    return Reply(list(hummingbot.library.credentials))


@ROUTES.on("GET", "/accounts/{account_name}/credentials")
def credentials(hummingbot: Hummingbot, call: Call) -> Reply:
    name = call.params["account_name"]
    if problem := _bad_name(name):
        return detail(400, problem)
    if name not in hummingbot.library.credentials:
        return detail(404, f"Directory 'credentials/{name}/connectors' not found")
    return Reply(list(hummingbot.library.credentials[name]))


@ROUTES.on("POST", "/accounts/add-account")
def add_account(hummingbot: Hummingbot, call: Call) -> Reply:
    name = required_query(call, "account_name")
    if problem := _bad_name(name):
        return detail(400, problem)
    if name in hummingbot.library.credentials:
        return detail(400, "Account already exists.")
    hummingbot.library.credentials[name] = {}
    return Reply({"message": "Account added successfully."}, status=201)


@ROUTES.on("POST", "/accounts/delete-account")
def delete_account(hummingbot: Hummingbot, call: Call) -> Reply:
    name = required_query(call, "account_name")
    if name == "master_account":
        return detail(400, "Cannot delete master account.")
    if hummingbot.library.credentials.pop(name, None) is None:
        return detail(404, f"Folder '{name}' not found in 'credentials'")
    return Reply({"message": "Account deleted successfully."})


@ROUTES.on("POST", "/accounts/delete-credential/{account_name}/{connector_name}")
def delete_credential(hummingbot: Hummingbot, call: Call) -> Reply:
    """Deleting what is not there succeeds."""
    hummingbot.library.credentials.get(call.params["account_name"], {}).pop(call.params["connector_name"], None)
    return Reply({"message": "Credential deleted successfully."})


@ROUTES.on("POST", "/accounts/add-credential/{account_name}/{connector_name}")
def add_credential(hummingbot: Hummingbot, call: Call) -> Reply:
    body, account, connector = dict_body(call), call.params["account_name"], call.params["connector_name"]
    if problem := _bad_name(account):
        return detail(400, f"400: {problem}")
    if connector not in connectors.NAMES:
        return detail(400, f"'{connector}'")
    fields = connectors.fields(connector)
    if unknown := next((name for name in body if name not in fields), None):
        return detail(400, f"Object has no attribute '{unknown}'")
    if account not in hummingbot.library.credentials:
        return detail(400, f"[Errno 2] No such file or directory: 'bots/credentials/{account}/connectors'")
    if refusal := _refused_by_exchange(hummingbot, connector, connectors.parts(connector, body)):
        return detail(400, refusal)
    hummingbot.library.credentials[account][connector] = body
    return Reply({"message": "Connector credentials added successfully."}, status=201)


def _refused_by_exchange(hummingbot: Hummingbot, connector: str, parts: tuple[str, str, str]) -> str | None:
    """The exchange's objection; one that is not played here cannot be reached, as in the recording."""
    world = hummingbot.world
    exchange, host = connectors.PLAYED.get(connector, ("", f"api.{connector.replace('_', '-')}.com"))
    if not exchange or any(world.faults.find(f"exchange:{exchange}", fault) for fault in _AWAY):
        return f"Cannot connect to host {host}:443 ssl:default [Name or service not known]"
    if world.faults.find(f"exchange:{exchange}", "rate_limit"):
        return "Error executing request. HTTP status is 429. Error: Too many requests."
    api_key, secret, passphrase = parts
    key = world.key(exchange, api_key)
    wrong = "Error executing request. HTTP status is 401. Error: "
    if key is None or world.is_key_refused(key):
        return wrong + "API key does not exist or is not permitted."
    if secret != key.secret:
        return wrong + "Signature for this request is not valid."
    if passphrase != key.passphrase and key.passphrase:
        return wrong + "Passphrase is not valid."
    return None
