"""One small arena for tests: acme's bot Astrologer with 10,000 USDT, beside the sandbox's exchange and models."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D
from uuid import UUID

from arena.models import ArenaSettings, ArenaState, LlmProvider, Participant, PromptVersion
from arena.services.refresh_prices import refresh_prices
from bots.models import Bot
from bots.rules.words import RuntimeKind
from exchanges.gateways.pool import open_gateways
from ground.scope import system_scope
from ledger.models import BotAccount
from ledger.services.allocate_capital import allocate_capital
from sandbox.testing import Sandbox
from tests.fixtures import Cast, make_bot

SCOPE = system_scope("tests")
EXCHANGE = "binance"
SYMBOLS = ["BTC/USDT", "DOGE/USDT", "ETH/USDT"]
PROMPT = "You are Astrologer. You hold {{totalValue}} and see {{marketData}}."


class Stage:
    """What tests of the arena do."""

    def __init__(self, sandbox: Sandbox, cast: Cast) -> None:
        self.sandbox, self.cast = sandbox, cast
        self.gateways = open_gateways({EXCHANGE: sandbox.exchange_base}, timeout_s=5)
        ArenaState.objects.get_or_create(pk=1)
        chosen = {"exchange": EXCHANGE, "symbols": SYMBOLS, "slippage_bps": D(0)}
        ArenaSettings.objects.update_or_create(pk=1, defaults=chosen)

    def add_bot(self, account: str = "client_acme", name: str = "Astrologer", **limits: object) -> UUID:
        """A started bot of the arena with its prompt and a provider at the sandbox."""
        bot_id = make_bot(account, runtime_kind=RuntimeKind.ARENA, pair="BTC/USDT", name=name)
        allocate_capital(scope=SCOPE, bot_id=bot_id, capital=D(10_000))
        bot = Bot.objects.get(pk=bot_id)
        Bot.objects.filter(pk=bot_id).update(desired_status="running", desired_at=self.now)
        prompt = PromptVersion.objects.create(bot=bot, client_id=bot.client_id, number=1, text=PROMPT, made_by="tests")
        Participant.objects.create(
            bot=bot, client_id=bot.client_id, prompt=prompt, provider=self.provider(bot.client_id),
            next_turn_at=self.now, **limits,
        )  # fmt: skip
        return bot_id

    def provider(self, client_id: UUID) -> LlmProvider:
        """The client's provider at the sandbox's models, made once."""
        key = f"sk-{client_id}"
        self.sandbox.add_model_key(key)
        found = LlmProvider.objects.filter(client_id=client_id).first()
        return found or LlmProvider.objects.create(
            client_id=client_id, name="sandbox", kind="openai", model="gpt-sandbox", api_key=key,
            prices={"*": {"input": D("1"), "output": D("4")}},
        )  # fmt: skip

    def price(self, symbol: str, price: str) -> None:
        """What the exchange shows from now on."""
        market = {"exchange": EXCHANGE, "pair": symbol, "price": price, "volatility": 0}
        self.sandbox.control("POST", "/markets", json=market)

    def refresh(self) -> int | None:
        """Read prices now, whether they are due or not."""
        ArenaState.objects.update(prices_at=None)
        return refresh_prices(gateways=self.gateways, now=self.now)

    @property
    def now(self) -> datetime:
        """The exchange's prices carry the wall's time."""
        return datetime.now(UTC)

    def balance(self, bot_id: UUID) -> D:
        found = BotAccount.objects.get(bot_id=bot_id).balance
        assert found is not None
        return found
