"""Router /scripts: scripts and their configs."""

from __future__ import annotations

from sandbox.http import Call, Reply, Routes
from sandbox.hummingbot.engine import Hummingbot
from sandbox.hummingbot.library import SCRIPTS
from sandbox.hummingbot.validation import detail, dict_body

ROUTES = Routes()
_LISTED = {"script_file_name": "", "controllers_config": [], "candles_config": [], "markets": {}}


@ROUTES.on("GET", "/scripts/")
def scripts(hummingbot: Hummingbot, call: Call) -> Reply:
    return Reply(SCRIPTS)


@ROUTES.on("GET", "/scripts/configs/")
def configs(hummingbot: Hummingbot, call: Call) -> Reply:
    """Only five keys are echoed."""
    rows = []
    for name, saved in hummingbot.library.script_configs.items():
        rows.append({"config_name": name} | {key: saved.get(key, empty) for key, empty in _LISTED.items()})
    return Reply(rows)


@ROUTES.on("GET", "/scripts/configs/{config_name}")
def config(hummingbot: Hummingbot, call: Call) -> Reply:
    name = call.params["config_name"]
    saved = hummingbot.library.script_configs.get(name)
    return detail(404, f"Configuration '{name}' not found") if saved is None else Reply(saved)


@ROUTES.on("POST", "/scripts/configs/{config_name}")
def save_config(hummingbot: Hummingbot, call: Call) -> Reply:
    body, name = dict_body(call), call.params["config_name"]
    hummingbot.library.script_configs[name] = dict(sorted(body.items()))
    return Reply({"message": f"Configuration '{name}' saved successfully"}, status=201)


@ROUTES.on("DELETE", "/scripts/configs/{config_name}")
def delete_config(hummingbot: Hummingbot, call: Call) -> Reply:
    name = call.params["config_name"]
    if hummingbot.library.script_configs.pop(name, None) is None:
        return detail(404, f"Configuration '{name}' not found")
    return Reply({"message": f"Configuration '{name}' deleted successfully"})


@ROUTES.on("GET", "/scripts/{script_name}")
def script(hummingbot: Hummingbot, call: Call) -> Reply:
    name = call.params["script_name"]
    if name not in SCRIPTS:
        return detail(404, f"Script '{name}' not found")
    return Reply({"name": name, "content": "# A script's source is not played here.\n"})


@ROUTES.on("GET", "/scripts/{script_name}/config/template")
def template(hummingbot: Hummingbot, call: Call) -> Reply:
    name = call.params["script_name"]
    if name not in SCRIPTS:
        return detail(404, f"Script configuration class for '{name}' not found")
    return Reply({"script_file_name": "", "controllers_config": []})
