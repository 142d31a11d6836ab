"""The two deployments. Every one is new: the name gets the server's local clock as a suffix."""

from __future__ import annotations

import re
from typing import Any

from sandbox.http import Call, Reply, Routes
from sandbox.hummingbot.bot import Bot
from sandbox.hummingbot.engine import Hummingbot
from sandbox.hummingbot.validation import PlainCrash, detail, model_body

ROUTES = Routes()
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_COMMON = {"instance_name": "str", "credentials_profile": "str", "image": "str?", "headless": "bool?"}


@ROUTES.on("POST", "/bot-orchestration/deploy-v2-controllers")
def deploy_controllers(hummingbot: Hummingbot, call: Call) -> Reply:
    body = model_body(
        call,
        **_COMMON,
        controllers_config="list",
        max_global_drawdown_quote="number?",
        max_controller_drawdown_quote="number?",
        script_config="str?",
    )
    _check_names([body["instance_name"], *body["controllers_config"]])
    name = hummingbot.unique_name(body["instance_name"])
    if refusal := _refusal(hummingbot, body, name):
        return refusal
    saved = hummingbot.library.controller_configs
    # An unknown config is only logged: the deployment succeeds without it.
    configs = [saved[config] | {"_config_name": config} for config in body["controllers_config"] if config in saved]
    deployment = {
        "instance_name": name,
        "credentials_profile": body["credentials_profile"],
        "controllers_config": body["controllers_config"],
        "max_global_drawdown_quote": body.get("max_global_drawdown_quote"),
        "max_controller_drawdown_quote": body.get("max_controller_drawdown_quote"),
        "image": _image(body),
        "script_config": f"{name}.yml",
        "headless": body.get("headless", False),
    }
    _launch(hummingbot, name, deployment, configs=configs, script=None)
    return Reply(
        {
            "success": True,
            "message": f"Instance {name} created successfully.",
            "script_config_generated": f"{name}.yml",
            "controllers_deployed": body["controllers_config"],
            "unique_instance_name": name,
        }
    )


@ROUTES.on("POST", "/bot-orchestration/deploy-v2-script")
def deploy_script(hummingbot: Hummingbot, call: Call) -> Reply:
    body = model_body(call, **_COMMON, script="str?", script_config="str?")
    _check_names([body["instance_name"]])
    name = hummingbot.unique_name(body["instance_name"])
    if refusal := _refusal(hummingbot, body, name):
        return refusal
    deployment = {
        "instance_name": name,
        "credentials_profile": body["credentials_profile"],
        "image": _image(body),
        "script": body.get("script"),
        "script_config": body.get("script_config"),
        "headless": body.get("headless", False),
    }
    _launch(hummingbot, name, deployment, configs=[], script=body.get("script") or "")
    return Reply({"success": True, "message": f"Instance {name} created successfully.", "unique_instance_name": name})


def _check_names(names: list[str]) -> None:
    """The original's validator raises something its own error handler cannot print."""
    if not all(_NAME.fullmatch(name) for name in names):
        raise PlainCrash


def _image(body: dict[str, Any]) -> str:
    return str(body.get("image") or "hummingbot/hummingbot:latest")


def _refusal(hummingbot: Hummingbot, body: dict[str, Any], name: str) -> Reply | None:
    """In the order the original stumbles: folder, engine, image, name."""
    profile, image = body["credentials_profile"], _image(body)
    if profile not in hummingbot.library.credentials:
        return detail(500, f"[Errno 2] No such file or directory: 'bots/credentials/{profile}'")
    if hummingbot.is_on("docker_down"):
        return detail(
            500,
            "HTTPConnectionPool(host='127.0.0.1', port=2375): Max retries exceeded with url: "
            f"/v1.44/containers/create?name={name} (Caused by NewConnectionError('Failed to establish a new "
            "connection: [Errno 111] Connection refused'))",
        )
    if image not in hummingbot.library.images:
        repository, _, tag = image.partition(":")
        fetched = f"tag={tag}&fromImage={repository.replace('/', '%2F')}"
        message = (
            f'404 Client Error for http://127.0.0.1:2375/v1.44/images/create?{fetched}: Not Found ("no such image")'
        )
        return Reply({"success": False, "message": message})
    if name in hummingbot.bots:
        message = f'409 Client Error: Conflict ("The container name "/{name}" is already in use")'
        return Reply({"success": False, "message": message})
    return None


def _launch(
    hummingbot: Hummingbot,
    name: str,
    deployment: dict[str, Any],
    *,
    configs: list[dict[str, Any]],
    script: str | None,
) -> None:
    account, image = deployment["credentials_profile"], deployment["image"]
    hummingbot.launch(Bot(name=name, account=account, image=image, configs=configs, script=script))
    hummingbot.runs.record(bot=name, deployment=deployment, account=account, image=image, script=script)
