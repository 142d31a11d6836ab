"""One simulated bot: a container, the strategy in it, and the MQTT messages that leave it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox import money
from sandbox.hummingbot import connectors
from sandbox.trader import Trader

if TYPE_CHECKING:
    from sandbox.world import World

BOOT_S = 2.0
HEARTBEAT_S = 10.0
REPORT_S = 1.0
_OUT_OF_REACH = 100


@dataclass
class Bot:
    """``container`` is running, exited, or none (a bot somebody started by hand). Seconds are the world's."""

    name: str
    account: str
    image: str
    configs: list[dict[str, Any]] = field(default_factory=list)
    script: str | None = None
    container: str = "running"
    container_id: str = field(default_factory=lambda: uuid.uuid4().hex * 2)
    silent: bool = False
    tagged: bool = True
    strategy_running: bool = False
    boots_at_s: float | None = None
    heartbeat_s: float = float("-inf")
    report_s: float = float("-inf")
    traders: list[Trader] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        """The process lives and has come up."""
        return self.container != "exited" and self.boots_at_s is None

    @property
    def talks(self) -> bool:
        """Reads and writes MQTT. One whose config could not be read never gets that far."""
        return self.is_up and not self.silent and bool(self.configs or self.script)

    def switch_on(self, now_s: float) -> None:
        self.container = "running" if self.container == "exited" else self.container
        self.boots_at_s = now_s + BOOT_S
        self.strategy_running = False

    def switch_off(self, world: World) -> None:
        """The container exits; open orders stay on the exchange, as after a crash."""
        self.container = "exited"
        self.boots_at_s = None
        self._note(world, is_running=False)

    def boot(self, world: World) -> None:
        """The strategy begins by itself once the process is up."""
        self.boots_at_s = None
        self.heartbeat_s = self.report_s = float("-inf")
        if not self.traders:
            self.traders = [trader for config in self.configs if (trader := trader_for(world, self, config))]
        self.start_strategy(world)

    def start_strategy(self, world: World) -> bool:
        """False when it was running already, which nobody who asked over the API ever learns."""
        if self.strategy_running:
            return False
        self._note(world, is_running=True)
        for trader in self.traders:
            trader.schedule(world.rng, world.clock.world())
            trader.requote(world)
        return True

    def stop_strategy(self, world: World, *, cancel_orders: bool = True) -> bool:
        if not self.strategy_running:
            return False
        self._note(world, is_running=False)
        for trader in self.traders:
            if cancel_orders:
                trader.cancel(world)
        return True

    def _note(self, world: World, *, is_running: bool) -> None:
        if is_running != self.strategy_running:
            world.hummingbot.journal.note(self.name, at_ms=world.clock.wall_ms(), is_running=is_running)
        self.strategy_running = is_running

    def reports(self) -> dict[str, Any]:
        """By controller. One that has no way to trade (no credentials, no such market) reports nothing."""
        return {trader.controller: report(trader) for trader in self.traders}

    def empty_reports(self) -> dict[str, Any]:
        empty: dict[str, Any] = {"status": "running", "performance": {}, "custom_info": {}}
        return {trader.controller: empty for trader in self.traders}


def report(trader: Trader) -> dict[str, Any]:
    """One controller's performance as the bot publishes it: JSON floats, enum names as Python prints them."""
    unrealized, notional = trader.unrealized_pnl(), trader.amount * trader.market.price
    net = trader.realized_pnl - trader.fees
    position = {
        "connector_name": connectors.name_of(trader.market.exchange),
        "trading_pair": trader.market.pair.replace("/", "-"),
        "volume_traded_quote": float(trader.volume),
        "side": "TradeType.BUY" if trader.position >= 0 else "TradeType.SELL",
        "amount": float(abs(trader.position)),
        "breakeven_price": float(trader.entry_cost / trader.position) if trader.position else 0.0,
        "unrealized_pnl_quote": float(unrealized),
        "realized_pnl_quote": float(trader.realized_pnl),
        "cum_fees_quote": float(trader.fees),
    }
    performance = {
        "realized_pnl_quote": float(net),
        "unrealized_pnl_quote": float(unrealized),
        "unrealized_pnl_pct": float(unrealized / notional),
        "realized_pnl_pct": float(net / notional),
        "global_pnl_quote": float(net + unrealized),
        "global_pnl_pct": float((net + unrealized) / notional),
        "volume_traded": float(trader.volume),
        "positions_summary": [position] if trader.trades else [],
        "close_type_counts": {"CloseType.TAKE_PROFIT": trader.trades},
    }
    return {"status": "running", "performance": performance, "custom_info": {"spread": float(trader.bid_spread)}}


def trader_for(world: World, bot: Bot, config: dict[str, Any]) -> Trader | None:
    """What a controller config asks for; None when it names no market of ours or the account has no working key."""
    connector = str(config.get("connector_name") or config.get("exchange") or "")
    exchange, _ = connectors.PLAYED.get(connector, ("", ""))
    pair = str(config.get("trading_pair") or "").replace("-", "/").upper()
    market = world.market(exchange, pair)
    credentials = world.hummingbot.library.credentials.get(bot.account, {}).get(connector)
    if market is None or credentials is None:
        return None
    api_key, _, _ = connectors.parts(connector, credentials)
    if (key := world.key(exchange, api_key)) is None:
        return None
    bid, ask = _spread(config, "bid_spread", "buy_spreads"), _spread(config, "ask_spread", "sell_spreads")
    return Trader(
        bot=bot.name,
        market=market,
        key=key,
        mean_interval_s=world.mean_interval_s,
        amount=_amount(config, market.price, market.step),
        bid_spread=bid,
        ask_spread=ask,
        controller=str(config.get("id") or config["_config_name"]),
        direction=_direction(config),
    )


def _direction(config: dict[str, Any]) -> str:
    """Long or short where a threshold of the band lies out of every price's reach, which is how a side is left out."""
    buys_below, sells_above = (str(config.get(f"bb_{side}_threshold", "")) for side in ("long", "short"))
    if _is_number(sells_above) and Decimal(sells_above) > _OUT_OF_REACH:
        return "long"
    return "short" if _is_number(buys_below) and Decimal(buys_below) < -_OUT_OF_REACH else "both"


def _spread(config: dict[str, Any], *names: str) -> Decimal:
    """A ratio out of a number, a list, or a list as text; a thousandth when there is none."""
    for name in names:
        value = config.get(name)
        first = value[0] if isinstance(value, list) and value else value
        text = str(first).split(",")[0].strip() if first not in (None, "", []) else ""
        if _is_number(text):
            return Decimal(text)
    return Decimal("0.001")


def _amount(config: dict[str, Any], price: Decimal, step: Decimal) -> Decimal:
    """In base: said as such, or worked out from an amount in quote; at least one step."""
    if _is_number(str(config.get("order_amount", ""))):
        wanted = Decimal(str(config["order_amount"]))
    else:
        quote = str(config.get("total_amount_quote", "100"))
        wanted = (Decimal(quote) if _is_number(quote) else Decimal(100)) / price
    return max(step, money.floor(wanted, step))


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdigit()
