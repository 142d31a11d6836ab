"""Router /connectors: what may be connected to, and which credentials that takes."""

from __future__ import annotations

from sandbox.http import Call, Reply, Routes
from sandbox.hummingbot import connectors
from sandbox.hummingbot.engine import Hummingbot
from sandbox.hummingbot.validation import PlainCrash

ROUTES = Routes()


@ROUTES.on("GET", "/connectors/")
def names(hummingbot: Hummingbot, call: Call) -> Reply:
    return Reply(connectors.NAMES)


@ROUTES.on("GET", "/connectors/{connector_name}/config-map")
def config_map(hummingbot: Hummingbot, call: Call) -> Reply:
    if call.params["connector_name"] not in connectors.NAMES:
        raise PlainCrash
    return Reply(connectors.config_map(call.params["connector_name"]))
