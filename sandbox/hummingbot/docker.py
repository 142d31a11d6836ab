"""Router /docker: containers, also dead ones."""

from __future__ import annotations

from typing import Any

from sandbox.http import Call, Reply, Routes
from sandbox.hummingbot.bot import Bot
from sandbox.hummingbot.engine import Hummingbot
from sandbox.hummingbot.validation import PlainCrash

ROUTES = Routes()


def _need_docker(hummingbot: Hummingbot) -> None:
    if hummingbot.is_on("docker_down"):
        raise PlainCrash


def _containers(hummingbot: Hummingbot, call: Call, status: str) -> Reply:
    _need_docker(hummingbot)
    if hummingbot.is_on("docker_error"):
        return Reply('500 Server Error for http://127.0.0.1:2375/v1.44/containers/json: Internal Server Error ("busy")')
    wanted = call.query.get("name_filter", "")
    bots = [bot for bot in hummingbot.bots.values() if bot.container == status and wanted in bot.name]
    return Reply([_row(bot) for bot in bots])


def _row(bot: Bot) -> dict[str, Any]:
    return {"id": bot.container_id, "name": bot.name, "status": bot.container, "image": bot.image}


@ROUTES.on("GET", "/docker/running")
def running(hummingbot: Hummingbot, call: Call) -> Reply:
    _need_docker(hummingbot)
    return Reply(True)


@ROUTES.on("GET", "/docker/active-containers")
def active(hummingbot: Hummingbot, call: Call) -> Reply:
    return _containers(hummingbot, call, "running")


@ROUTES.on("GET", "/docker/exited-containers")
def exited(hummingbot: Hummingbot, call: Call) -> Reply:
    return _containers(hummingbot, call, "exited")


@ROUTES.on("GET", "/docker/available-images/")
def images(hummingbot: Hummingbot, call: Call) -> Reply:
    _need_docker(hummingbot)
    wanted = call.query.get("image_name") or ""
    return Reply([image for image in sorted(hummingbot.library.images) if wanted in image])


@ROUTES.on("POST", "/docker/stop-container/{container_name}")
def stop(hummingbot: Hummingbot, call: Call) -> Reply:
    _need_docker(hummingbot)
    if (bot := hummingbot.bots.get(call.params["container_name"])) is None:
        return _no_container(call.params["container_name"])
    bot.switch_off(hummingbot.world)
    return Reply({"success": True, "message": f"Container {bot.name} stopped successfully."})


@ROUTES.on("POST", "/docker/start-container/{container_name}")
def start(hummingbot: Hummingbot, call: Call) -> Reply:
    _need_docker(hummingbot)
    if (bot := hummingbot.bots.get(call.params["container_name"])) is None:
        return _no_container(call.params["container_name"])
    if bot.container == "exited":
        bot.switch_on(hummingbot.world.clock.world())
    return Reply({"success": True, "message": f"Container {bot.name} started successfully."})


@ROUTES.on("POST", "/docker/remove-container/{container_name}")
def remove(hummingbot: Hummingbot, call: Call) -> Reply:
    _need_docker(hummingbot)
    name = call.params["container_name"]
    if name not in hummingbot.bots:
        return _no_container(name)
    hummingbot.bots[name].switch_off(hummingbot.world)
    hummingbot.remove(name)
    return Reply({"success": True, "message": f"Container {name} removed successfully."})


@ROUTES.on("POST", "/docker/clean-exited-containers")
def clean(hummingbot: Hummingbot, call: Call) -> Reply:
    _need_docker(hummingbot)
    for name in [bot.name for bot in hummingbot.bots.values() if bot.container == "exited"]:
        hummingbot.remove(name)
    return Reply({"success": True, "message": "Exited containers removed."})


def _no_container(name: str) -> Reply:
    message = (
        f'404 Client Error for http://127.0.0.1:2375/v1.44/containers/{name}/json: Not Found ("No such container")'
    )
    return Reply({"success": False, "message": message})
