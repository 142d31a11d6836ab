"""Router /controllers: controllers, their configs, and the configs of a bot that was deployed."""

from __future__ import annotations

from typing import Any

from sandbox.http import Call, Reply, Routes
from sandbox.hummingbot import templates
from sandbox.hummingbot.engine import Hummingbot
from sandbox.hummingbot.library import CONTROLLERS
from sandbox.hummingbot.validation import detail, dict_body

ROUTES = Routes()


@ROUTES.on("GET", "/controllers/")
def controllers(hummingbot: Hummingbot, call: Call) -> Reply:
    return Reply(CONTROLLERS)


@ROUTES.on("GET", "/controllers/configs/")
def configs(hummingbot: Hummingbot, call: Call) -> Reply:
    saved = hummingbot.library.controller_configs
    return Reply([saved[name] | {"id": name} for name in sorted(saved)])


@ROUTES.on("GET", "/controllers/configs/{config_name}")
def config(hummingbot: Hummingbot, call: Call) -> Reply:
    name = call.params["config_name"]
    saved = hummingbot.library.controller_configs.get(name)
    return detail(404, f"Configuration '{name}' not found") if saved is None else Reply(saved)


@ROUTES.on("POST", "/controllers/configs/{config_name}")
def save_config(hummingbot: Hummingbot, call: Call) -> Reply:
    """Nothing is validated, and what was there is overwritten."""
    body, name = dict_body(call), call.params["config_name"]
    hummingbot.library.controller_configs[name] = dict(sorted(body.items()))
    return Reply({"message": f"Configuration '{name}' saved successfully"}, status=201)


@ROUTES.on("DELETE", "/controllers/configs/{config_name}")
def delete_config(hummingbot: Hummingbot, call: Call) -> Reply:
    name = call.params["config_name"]
    if hummingbot.library.controller_configs.pop(name, None) is None:
        return detail(404, f"Configuration '{name}' not found")
    return Reply({"message": f"Configuration '{name}' deleted successfully"})


@ROUTES.on("GET", "/controllers/bots/{bot_name}/configs")
def bot_configs(hummingbot: Hummingbot, call: Call) -> Reply:
    bot = hummingbot.bots.get(call.params["bot_name"])
    return Reply(bot.configs) if bot else detail(404, f"Bot '{call.params['bot_name']}' not found")


@ROUTES.on("POST", "/controllers/bots/{bot_name}/{controller_name}/config")
def update_bot_config(hummingbot: Hummingbot, call: Call) -> Reply:
    """Merged into the running bot's own file."""
    name, controller, body = call.params["bot_name"], call.params["controller_name"], dict_body(call)
    if (bot := hummingbot.bots.get(name)) is None:
        return detail(404, f"Bot '{name}' not found")
    found = next((config for config in bot.configs if config["_config_name"] == controller), None)
    if found is None:
        return detail(404, f"Controller configuration '{controller}' not found for bot '{name}'")
    found |= body
    return Reply({"message": f"Controller configuration for bot '{name}' updated successfully"})


@ROUTES.on("GET", "/controllers/{controller_type}/{controller_name}/config/template")
def template(hummingbot: Hummingbot, call: Call) -> Reply:
    if (fields := _fields(call)) is None:
        return detail(404, f"Controller configuration class for '{call.params['controller_name']}' not found")
    return Reply(fields)


@ROUTES.on("POST", "/controllers/{controller_type}/{controller_name}/config/validate")
def validate(hummingbot: Hummingbot, call: Call) -> Reply:
    body, fields = dict_body(call), _fields(call)
    if fields is None:
        return detail(404, f"Controller configuration class for '{call.params['controller_name']}' not found")
    if problems := templates.problems(body, fields):
        checked_by = templates.class_name(call.params["controller_type"], call.params["controller_name"])
        return detail(400, templates.as_pydantic_text(problems, checked_by))
    return Reply({"message": "Configuration is valid"})


def _fields(call: Call) -> dict[str, Any] | None:
    kind, name = call.params["controller_type"], call.params["controller_name"]
    return templates.fields(kind, name) if name in CONTROLLERS.get(kind, ()) else None
