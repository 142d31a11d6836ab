"""What lies in the API's folders: accounts with credentials, controller and script configs."""

from __future__ import annotations

from typing import Any

CONTROLLERS = {
    "directional_trading": ["bollinger_v1", "bollinger_v2", "bollingrid", "dman_v3", "macd_bb_v1", "supertrend_v1"],
    "market_making": ["dman_maker_v2", "pmm_dynamic", "pmm_simple"],
    "generic": [
        "arbitrage_controller",
        "grid_strike",
        "hedge_asset",
        "lp_rebalancer",
        "multi_grid_strike",
        "pmm",
        "pmm_adjusted",
        "pmm_mister",
        "pmm_v1",
        "quantum_grid_allocator",
        "stat_arb",
        "xemm_multiple_levels",
    ],
}
SCRIPTS = ["v2_with_controllers"]


class Library:
    """``credentials`` is account to connector to its fields."""

    def __init__(self) -> None:
        self.credentials: dict[str, dict[str, dict[str, Any]]] = {"master_account": {}}
        self.controller_configs: dict[str, dict[str, Any]] = {}
        self.script_configs: dict[str, dict[str, Any]] = {}
        self.images = {"hummingbot/hummingbot:latest"}

    def to_json(self) -> dict[str, Any]:
        names = ("credentials", "controller_configs", "script_configs")
        return {name: getattr(self, name) for name in names}

    def load(self, saved: dict[str, Any]) -> None:
        for name, value in saved.items():
            setattr(self, name, value)
