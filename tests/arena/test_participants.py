"""Participants and what people do with them, through the real database, its roles and the sandbox's prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from alerts.models import Incident
from arena.models import (
    ArenaEvent,
    ArenaMarket,
    ArenaSettings,
    ArenaTurn,
    Halt,
    LlmProvider,
    Participant,
    PromptVersion,
)
from arena.rules.statuses import HaltKind, HaltScope
from arena.services.claim_turns import claim_turns
from arena.services.halts import halt, halt_by_rule, lift_halt, standing_halts
from arena.services.participants import change_participant, clone_participant, create_participant, save_prompt
from arena.services.play_turn import play_turn
from arena.services.refresh_prices import SCOPE
from arena.services.report_health import judge_participants
from arena.services.reset_participant import reset_participant
from arena.services.steer_participant import close_position, force_turn, pause_participant
from bots.models import Bot, BotHealth, BotStats
from bots.selectors import bot_status
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from ground.errors import Conflict, Forbidden, InvalidInput, NotFound
from ground.scope import Scope
from ledger.models import (
    BotAccount,
    BotDecision,
    BotStateSnapshot,
    BotTradeHour,
    EquityBucket,
    LeaderboardEntry,
    Position,
    Trade,
)
from ledger.rules.words import Action
from ledger.services.allocate_capital import allocate_capital
from ledger.services.record_paper import NewDecision, PaperEntry, lock_accounts, record_decision, record_fills
from ledger.services.refresh_boards import refresh_due_boards
from ledger.services.take_snapshots import take_snapshots
from tests.arena.stage import PROMPT, Stage
from tests.arena.test_turns import play as take_turn
from tests.arena.test_turns import say
from tests.fixtures import OPERATOR, Cast
from tests.ledger.old_databases import ROWS, make_sqlite

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def acme(cast: Cast) -> Scope:
    return Scope(actor="key:acme", client_id=cast.acme)


def provider_of(client_id: UUID | None, name: str = "mine", **fields: object) -> LlmProvider:
    return LlmProvider.objects.create(client_id=client_id, name=name, kind="openai", model="gpt", **fields)


def play(stage: Stage, bot_id: UUID, symbol: str = "BTC/USDT") -> UUID:
    """A turn that is over: its decision opened a position."""
    participant = Participant.objects.get(pk=bot_id)
    decision_id, turn_id = uuid4(), uuid4()
    with SCOPE.transaction():
        accounts = lock_accounts([bot_id])
        account = accounts[bot_id]
        record_decision(NewDecision(decision_id, account.client_id, bot_id, stage.now, "told", [{}], [], True))
        entry = PaperEntry(bot_id, symbol, Action.LONG, D(50_000), D("0.01"), D(5), D("0.25"))
        (done,) = record_fills(
            [entry], accounts=accounts, at=stage.now, now=stage.now, decision_id=decision_id, place=str(turn_id)
        )
        ArenaTurn.objects.create(
            id=turn_id, bot_id=bot_id, client_id=account.client_id, number=participant.turns + 1, status="done",
            prompt=participant.prompt, decision_id=decision_id, created_at=stage.now, finished_at=stage.now,
        )  # fmt: skip
        Participant.objects.filter(pk=bot_id).update(turns=participant.turns + 1, peak_equity=10_000)
    return done.position_id


def later(seconds: int) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def ledger_is_right() -> None:
    for command in ("verify_ledger", "recompute_statistics"):
        said = StringIO()
        try:
            call_command(command, stdout=said)
        except CommandError as error:
            pytest.fail(f"{error}\n{said.getvalue()}")


def test_a_client_makes_a_participant_and_it_takes_turns_once_it_has_all_it_needs(cast: Cast, acme: Scope) -> None:
    ArenaMarket.objects.create(exchange=ArenaSettings().exchange, symbol="BTC/USDT", price=D(1), observed_at=NOW)
    made = create_participant(
        scope=acme, account="client_acme", name="Astrologer", prompt=f"{PROMPT} {{{{secret}}}}", now=NOW,
        symbols=["ethusdt", "BTC-USDT"], max_leverage=D(3),
    )  # fmt: skip
    bot = Bot.objects.get(id=made.bot_id)
    assert (bot.client_id, bot.runtime_kind, bot.desired_status) == (cast.acme, "arena", "created")
    account = BotAccount.objects.get(bot=bot)
    assert (account.balance, account.mode, account.currency) == (10_000, "paper", "USDT")
    assert made.prompt and (made.prompt.number, made.prompt.unknown) == (1, ("secret",))
    with pytest.raises(Conflict, match="no model provider"):
        start_bot(scope=acme, bot_id=bot.id, now=NOW)
    own = provider_of(cast.acme)
    change_participant(scope=acme, bot_id=bot.id, changes={"provider_id": own.id}, now=NOW)
    assert start_bot(scope=acme, bot_id=bot.id, now=NOW) == "started"
    assert len(claim_turns(now=NOW)) == 1
    again = save_prompt(scope=acme, bot_id=bot.id, text="Another prompt altogether", now=NOW)
    same = save_prompt(scope=acme, bot_id=bot.id, text="Another prompt altogether", now=NOW)
    assert (again.number, same.number, PromptVersion.objects.filter(bot=bot).count()) == (2, 2, 2)
    assert ArenaTurn.objects.get().prompt_id == made.prompt.id, "a turn names the version it was opened with"


def test_limits_and_providers_are_checked_before_anything_is_written(cast: Cast, acme: Scope) -> None:
    made = create_participant(scope=acme, account="client_acme", name="A", prompt=PROMPT, now=NOW)
    theirs, shared = provider_of(cast.globex), provider_of(None, is_shared=True)
    refusals: list[tuple[dict[str, object], type[Exception]]] = [
        ({"max_leverage": D("0.5")}, InvalidInput), ({"max_leverage": D(126)}, InvalidInput),
        ({"min_size": D(0)}, InvalidInput), ({"max_drawdown_ratio": D("1.5")}, InvalidInput),
        ({"min_size": D("NaN")}, InvalidInput), ({"daily_budget": D(-1)}, InvalidInput),
        ({"turn_interval_s": 1}, InvalidInput), ({"symbols": ["BTC/EUR"]}, InvalidInput),
        ({"symbols": ["///"]}, InvalidInput), ({"leverage_by_symbol": {"BTC/USDT": 0}}, InvalidInput),
        ({"model": "models/../files"}, InvalidInput), ({"model": "gpt 4"}, InvalidInput),
        ({"bot_id": uuid4()}, InvalidInput), ({"provider_id": theirs.id}, NotFound),
        ({"fallback_id": theirs.id}, NotFound), ({"fallback_id": shared.id}, InvalidInput),
    ]  # fmt: skip
    for changes, kind in refusals:
        with pytest.raises(kind):
            change_participant(scope=acme, bot_id=made.bot_id, changes=changes, now=NOW)
    for text in ("short", "x" * 10_001, " " * 20, "half a pair \ud800 of it", "a NUL \x00 in it"):
        with pytest.raises(InvalidInput):
            save_prompt(scope=acme, bot_id=made.bot_id, text=text, now=NOW)
    change_participant(scope=acme, bot_id=made.bot_id, changes={"provider_id": shared.id}, now=NOW)
    changes = {"leverage_by_symbol": {"dogeusdt": D(3)}, "symbols": [], "daily_budget": D("2.5")}
    change_participant(scope=acme, bot_id=made.bot_id, changes=changes, now=NOW)
    row = Participant.objects.get(pk=made.bot_id)
    assert (row.provider_id, row.leverage_by_symbol, row.daily_budget) == (shared.id, {"DOGE/USDT": 3}, D("2.5"))
    with pytest.raises(NotFound):
        globex = Scope(actor="key:globex", client_id=cast.globex)
        change_participant(scope=globex, bot_id=made.bot_id, changes={"max_leverage": D(2)}, now=NOW)
    with pytest.raises(InvalidInput):
        create_participant(scope=acme, account="client_globex", name="A", prompt=PROMPT, now=NOW)


def test_a_forced_turn_comes_before_its_time_and_says_what_stands_in_its_way(stage: Stage, acme: Scope) -> None:
    stage.refresh()
    bot_id = stage.add_bot()
    assert len(claim_turns(now=stage.now)) == 1
    ArenaTurn.objects.update(status="skipped", finished_at=stage.now)
    assert claim_turns(now=stage.now) == []
    force_turn(scope=acme, bot_id=bot_id, now=stage.now)
    assert len(claim_turns(now=stage.now)) == 1
    forced = ArenaTurn.objects.get(number=2)
    assert (forced.cause, forced.requested_by) == ("forced", "key:acme")
    assert pause_participant(scope=acme, bot_id=bot_id, paused=None, now=stage.now) is True
    with pytest.raises(Conflict, match="paused"):
        force_turn(scope=acme, bot_id=bot_id, now=stage.now)
    assert pause_participant(scope=acme, bot_id=bot_id, paused=False, now=stage.now) is False
    held = halt(scope=OPERATOR, halt_scope=HaltScope.ALL, reason="Exchange hacked.", now=stage.now)
    with pytest.raises(Conflict, match="Exchange hacked"):
        force_turn(scope=acme, bot_id=bot_id, now=stage.now)
    lift_halt(scope=OPERATOR, halt_id=held, now=stage.now)
    stop_bot(scope=acme, bot_id=bot_id, now=stage.now)
    with pytest.raises(Conflict, match="not started"):
        force_turn(scope=acme, bot_id=bot_id, now=stage.now)


def test_a_position_is_closed_by_hand_at_a_fresh_price_and_never_at_an_old_one(stage: Stage, acme: Scope) -> None:
    bot_id, other = stage.add_bot(), stage.add_bot("client_globex", "Chartist")
    stage.price("BTC/USDT", "51000")
    stage.refresh()
    position = play(stage, bot_id)
    with pytest.raises(Conflict, match="s old; nothing is closed"):
        close_position(scope=acme, bot_id=bot_id, position=str(position), now=later(61))
    for wrong in (str(uuid4()), "", "\x00", str(play(stage, other))):
        with pytest.raises(NotFound):
            close_position(scope=acme, bot_id=bot_id, position=wrong, now=stage.now)
    with pytest.raises(NotFound):
        close_position(scope=acme, bot_id=other, position=str(position), now=stage.now)
    halt(scope=OPERATOR, halt_scope=HaltScope.ALL, reason="stop", now=stage.now)
    done = close_position(scope=acme, bot_id=bot_id, position=str(position), now=stage.now)
    assert (done.price, done.cause) == (D(51_000), "operator")
    assert stage.balance(bot_id) == 10_000 + D("10") - D("0.25") - D("0.255")
    assert Trade.objects.get(id=done.trade_id).note == "Closed by key:acme."
    assert ArenaEvent.objects.filter(bot_id=bot_id, kind="trade").count() == 1
    with pytest.raises(Conflict, match="closed already"):
        close_position(scope=acme, bot_id=bot_id, position=str(position), now=stage.now)
    ledger_is_right()


def test_a_reset_moves_one_bots_facts_to_an_archive_and_touches_no_other(stage: Stage, acme: Scope) -> None:
    bot_id, other = stage.add_bot(), stage.add_bot(name="Chartist")
    stage.price("BTC/USDT", "50000")
    stage.refresh()
    for _ in range(2):
        for one in (bot_id, other):
            position = play(stage, one)
            if one == other:
                close_position(scope=acme, bot_id=one, position=str(position), now=stage.now)
    take_snapshots(scope=SCOPE, now=stage.now.replace(minute=0, second=30))
    refresh_due_boards(scope=SCOPE, now=stage.now)
    force_turn(scope=acme, bot_id=bot_id, now=stage.now)
    assert len(claim_turns(now=stage.now)) == 2
    before, untouched = everything_of(bot_id), everything_of(other)
    with pytest.raises(Conflict, match="nothing is closed"):
        reset_participant(scope=acme, bot_id=bot_id, now=later(120))
    assert (everything_of(bot_id), everything_of(other)) == (before, untouched)
    archive_id = reset_participant(scope=acme, bot_id=bot_id, now=stage.now)

    assert everything_of(other) == untouched
    assert everything_of(bot_id) == {
        "trades": 0, "positions": 0, "decisions": 0, "snapshots": 0, "hours": 0, "equity": 0, "turns": 0,
        "balance": D(10_000), "prompts": 1,
    }  # fmt: skip
    after = everything_of(archive_id)
    assert after == before | {"trades": 4, "balance": after["balance"]} and after["turns"] == 3
    assert after["balance"] == stage.balance(archive_id) != 10_000
    assert not Position.objects.filter(bot_id=archive_id, status="open").exists()
    archive, bot = Bot.objects.get(id=archive_id), Bot.objects.get(id=bot_id)
    assert archive.client_id == bot.client_id and archive.name.startswith("Astrologer (until 2") and archive.retired_at
    assert (bot.desired_status, BotStats.objects.get(bot_id=bot_id).pnl) == ("running", None)
    assert ArenaTurn.objects.get(bot_id=archive_id, number=3).message == "The bot was reset."
    assert all(turn.prompt and turn.prompt.bot_id == archive_id for turn in ArenaTurn.objects.filter(bot_id=archive_id))
    ledger_is_right()
    assert len(claim_turns(now=stage.now)) >= 1, "it goes on playing, from turn 1"
    play(stage, bot_id, "ETH/USDT")
    take_snapshots(scope=SCOPE, now=stage.now.replace(minute=10, second=30))
    refresh_due_boards(scope=SCOPE, now=later(60))
    lines = LeaderboardEntry.objects.filter(period="all_time")
    assert lines.get(bot_id=bot_id).total_trades == 1 and not lines.filter(bot_id=archive_id).exists()
    ledger_is_right()


def test_a_clone_begins_with_the_same_prompt_and_limits_and_fresh_money(stage: Stage, acme: Scope) -> None:
    bot_id = stage.add_bot(max_leverage=D(4), symbols=["BTC/USDT"])
    stage.refresh()
    play(stage, bot_id)
    clone_id = clone_participant(scope=acme, bot_id=bot_id, now=stage.now)
    clone, old = Participant.objects.get(pk=clone_id), Participant.objects.get(pk=bot_id)
    assert clone.prompt and old.prompt and clone.prompt.text == old.prompt.text and clone.prompt.bot_id == clone_id
    assert (clone.provider_id, clone.max_leverage, clone.symbols) == (old.provider_id, D(4), ["BTC/USDT"])
    assert (stage.balance(clone_id), clone.turns) == (D(10_000), 0)
    bot = Bot.objects.get(id=clone_id)
    assert (bot.desired_status, bot.name) == ("created", "Astrologer (copy)")


def test_switches_hold_whom_they_name_and_are_lifted_by_those_who_may(stage: Stage, acme: Scope, cast: Cast) -> None:
    one, two = stage.add_bot(), stage.add_bot("client_globex", "Chartist")
    stage.refresh()
    globex = Scope(actor="key:globex", client_id=cast.globex)

    def held() -> list[bool]:
        with SCOPE.transaction():
            return [bool(standing_halts(bot_id)) for bot_id in (one, two)]

    for wish, who in (({"halt_scope": HaltScope.ALL}, Forbidden), ({"halt_scope": HaltScope.BOT, "bot_id": two}, NotFound),
                      ({"halt_scope": HaltScope.CLIENT, "client_id": cast.globex}, NotFound)):  # fmt: skip
        with pytest.raises(who):
            halt(scope=acme, reason="no", now=stage.now, **wish)  # type: ignore[arg-type]
    own = halt(scope=acme, halt_scope=HaltScope.CLIENT, reason="Holiday", now=stage.now)
    assert held() == [True, False]
    assert halt(scope=acme, halt_scope=HaltScope.CLIENT, reason="again", now=stage.now) == own, "one switch stands once"
    assert len(claim_turns(now=stage.now)) == 1
    with pytest.raises(NotFound):
        lift_halt(scope=globex, halt_id=own, now=stage.now)
    lift_halt(scope=acme, halt_id=own, now=stage.now)
    with pytest.raises(Conflict):
        lift_halt(scope=acme, halt_id=own, now=stage.now)
    by_operator = halt(scope=OPERATOR, halt_scope=HaltScope.BOT, bot_id=two, reason="Odd", now=stage.now)
    everybody = halt(scope=OPERATOR, halt_scope=HaltScope.ALL, reason="All", now=stage.now)
    assert held() == [True, True]
    for wrong in (by_operator, everybody):
        with pytest.raises(Forbidden):
            lift_halt(scope=globex, halt_id=wrong, now=stage.now)
    lift_halt(scope=OPERATOR, halt_id=everybody, now=stage.now)
    assert held() == [False, True]
    assert ArenaEvent.objects.filter(bot_id=one, kind="state_update", payload={"halted": True}).count() == 3


@pytest.mark.parametrize(
    ("row", "equity", "expected"),
    [
        ({"unreadable_in_row": 10}, None, HaltKind.UNREADABLE),
        ({"refused_in_row": 20}, None, HaltKind.REFUSED),
        ({"peak_equity": 10_000}, D(5_000), HaltKind.DRAWDOWN),
        ({"peak_equity": 10_000}, D("5000.01"), None),
        ({"peak_equity": 10_000}, None, None),
        ({"unreadable_in_row": 9, "refused_in_row": 19}, D(10_000), None),
    ],
)
def test_rules_halt_a_bot_once_with_an_incident(
    stage: Stage, acme: Scope, row: dict[str, int], equity: D | None, expected: HaltKind | None
) -> None:
    bot_id = stage.add_bot()
    stage.refresh()
    Participant.objects.filter(pk=bot_id).update(**row)
    for wanted in (expected, None):
        with SCOPE.transaction():
            participant = Participant.objects.get(pk=bot_id)
            assert halt_by_rule(participant, ArenaSettings(), equity=equity, now=stage.now) == wanted
    assert Incident.objects.filter(kind="arena_halted", bot_id=bot_id).count() == (1 if expected else 0)
    if expected:
        assert claim_turns(now=stage.now) == []
        lift_halt(scope=acme, halt_id=Halt.objects.get(bot_id=bot_id).id, now=stage.now)
        assert Incident.objects.get().resolved_at is not None
        with SCOPE.transaction():
            participant = Participant.objects.get(pk=bot_id)
            assert halt_by_rule(participant, ArenaSettings(), equity=D(10_000), now=stage.now) is None
        assert len(claim_turns(now=stage.now)) == 1


def everything_of(bot_id: UUID) -> dict[str, object]:
    counted = {
        "trades": Trade, "positions": Position, "decisions": BotDecision, "snapshots": BotStateSnapshot,
        "hours": BotTradeHour, "equity": EquityBucket, "turns": ArenaTurn, "prompts": PromptVersion,
    }  # fmt: skip
    counts: dict[str, object] = {name: model.objects.filter(bot_id=bot_id).count() for name, model in counted.items()}
    return counts | {"balance": BotAccount.objects.get(bot_id=bot_id).balance}


def test_health_of_paper_bots_is_what_keeps_them_from_taking_turns(stage: Stage, acme: Scope) -> None:
    bot_id = stage.add_bot()

    def judged() -> tuple[str, str, str]:
        judge_participants(now=stage.now)
        health = BotHealth.objects.get(bot_id=bot_id)
        return health.status, health.message, bot_status(OPERATOR, bot_id)

    def turn(number: int, status: str, message: str = "") -> None:
        ArenaTurn.objects.create(
            bot_id=bot_id, client_id=acme.client_id, number=number, status=status, message=message,
            created_at=stage.now, finished_at=stage.now,
        )  # fmt: skip

    assert judged()[::2] == ("unknown", "running")
    turn(1, "skipped", "The prices are old.")
    assert judged() == ("stale", "Its newest turn was left out: The prices are old.", "running")
    assert judge_participants(now=stage.now) == 0, "a verdict that stays writes nothing"
    position = play_done(stage, bot_id, number=2)
    assert judged() == ("healthy", "It takes its turns.", "running") and position
    assert judge_participants(now=later(3 * 200 + 300 + 1)) == 1
    assert BotHealth.objects.get(bot_id=bot_id).status == "stale"
    pause_participant(scope=acme, bot_id=bot_id, paused=True, now=stage.now)
    assert judged()[:2] == ("stale", "Paused by key:acme. What it holds is guarded.")
    held = halt(scope=OPERATOR, halt_scope=HaltScope.ALL, reason="Fire.", now=stage.now)
    assert judged() == ("error", "Halted: Fire.", "error")
    lift_halt(scope=OPERATOR, halt_id=held, now=stage.now)
    pause_participant(scope=acme, bot_id=bot_id, paused=False, now=stage.now)
    LlmProvider.objects.update(is_enabled=False)
    assert judged() == ("error", "Its model provider is switched off.", "error")
    stop_bot(scope=acme, bot_id=bot_id, now=stage.now)
    assert judged() == ("stopped", "stopped by key:acme", "stopped")
    told = ArenaEvent.objects.filter(bot_id=bot_id, kind="health").values_list("payload", flat=True)
    assert [one["status"] for one in told] == ["unknown", "stale", "healthy", "stale", "stale", "error", "error"]


def play_done(stage: Stage, bot_id: UUID, *, number: int) -> UUID:
    Participant.objects.filter(pk=bot_id).update(turns=number - 1)
    return play(stage, bot_id)


def test_imported_bots_prompts_and_providers_become_participants_once(database: None, tmp_path: Path) -> None:
    long = "You are a third one. You hold {{totalValue}}."
    rows = {**ROWS, "bots": [
        ROWS["bots"][0], ROWS["bots"][1] | {"user_id": "u2", "provider_id": "oracle"},
        ROWS["bots"][1] | {"id": "bot_third", "user_id": "u2", "prompt": long, "provider_id": "gemini2"},
    ], "llm_providers": [
        {"id": "gemini", "name": "Gemini", "endpoint": "", "model": "pro", "api_key": "sk-of-the-provider", "config": "{}"},
        {"id": "gemini2", "name": "Gemini", "endpoint": "https://example.org/v1/chat/completions", "model": "m",
         "api_key": "sk-2", "config": "{}"},
        {"id": "oracle", "name": "Delphi", "endpoint": "", "model": "", "api_key": "", "config": "{}"},
    ]}  # fmt: skip
    path = make_sqlite(tmp_path / "arena.db", rows)
    said = StringIO()
    call_command("import_arena_state", str(path), stdout=said)
    assert "adopted  3 participants, 2 model providers" in said.getvalue(), said.getvalue()
    assert "The provider oracle was left out: it says neither an address nor whose models they are." in said.getvalue()
    call_command("import_arena_state", str(path), "--with-provider-keys", stdout=StringIO())
    again = StringIO()
    call_command("adopt_arena_bots", stdout=again)
    assert again.getvalue().startswith("0 participants and 0 model providers were made.")
    bots = {bot.source_id: Participant.objects.get(bot=bot) for bot in Bot.objects.filter(runtime_kind="arena")}
    first, second, third = bots["bot_astrologer"], bots["bot_table"], bots["bot_third"]
    assert first.prompt and (first.prompt.text, first.prompt.number) == ('You are "Astrologer"', 1)
    assert first.provider and first.provider.client_id == first.client_id != third.client_id
    assert (first.provider.kind, first.provider.is_enabled) == ("google", True)
    assert first.provider.api_key is not None and first.provider.api_key.open() == "sk-of-the-provider"
    assert third.provider and (third.provider.kind, third.provider.base_url, third.provider.client_id) == (
        "compatible", "https://example.org/v1", third.client_id,
    )  # fmt: skip
    assert second.prompt is None and second.provider is None
    assert set(Bot.objects.filter(runtime_kind="arena").values_list("desired_status", flat=True)) == {"created"}
    assert len(PromptVersion.objects.all()) == 2

    archive = reset_participant(scope=OPERATOR, bot_id=first.bot_id, now=NOW)
    said = StringIO()
    call_command("import_arena_state", str(path), stdout=said)
    assert "It was started over here" in said.getvalue()
    held = [Trade.objects.filter(bot_id=one).count() for one in (archive, first.bot_id)]
    assert held == [2, 0] and BotAccount.objects.get(bot_id=first.bot_id).balance == 10_000
    ledger_is_right()


def test_a_bot_whose_answers_nobody_can_read_is_halted_by_its_own_turns(stage: Stage, settings: Any) -> None:
    settings.MODEL_BASE_URLS = {"openai": f"{stage.sandbox.model_base}/openai/v1"}
    ArenaSettings.objects.update(halt_after_unreadable=2)
    bot_id = stage.add_bot()
    say(stage, "The stars say nothing.", "They still say nothing.")
    take_turn(stage, bot_id)
    assert not Halt.objects.exists()
    take_turn(stage, bot_id)
    assert (Halt.objects.get().kind, Incident.objects.get().kind) == ("unreadable", "arena_halted")
    assert take_turn(stage, bot_id).number == 2, "no third one"


def test_a_bot_whose_drawdown_was_lifted_opens_positions_again(stage: Stage, acme: Scope, settings: Any) -> None:
    settings.MODEL_BASE_URLS = {"openai": f"{stage.sandbox.model_base}/openai/v1"}
    stage.price("BTC/USDT", "50000")
    bot_id = stage.add_bot()
    Participant.objects.filter(pk=bot_id).update(peak_equity=10_000)
    BotAccount.objects.filter(bot_id=bot_id).update(cash_flow=-6_000)
    long = {"action": "LONG", "symbol": "BTCUSDT", "size": 100, "leverage": 1}
    say(stage, long, long)
    take_turn(stage, bot_id)
    assert Halt.objects.get(lifted_at=None).kind == HaltKind.DRAWDOWN and not Position.objects.exists()
    lift_halt(scope=acme, halt_id=Halt.objects.get(lifted_at=None).id, now=stage.now)
    take_turn(stage, bot_id)
    assert Position.objects.filter(bot_id=bot_id).count() == 1, "a fall is measured from where it was lifted"
    assert not Halt.objects.filter(lifted_at=None).exists()


@pytest.mark.parametrize(("capital", "is_halted"), [(5_000, False), (15_000, False), (3_000, False)])
def test_capital_that_is_given_or_taken_is_neither_a_gain_nor_a_fall(
    stage: Stage, acme: Scope, settings: Any, capital: int, is_halted: bool
) -> None:
    settings.MODEL_BASE_URLS = {"openai": f"{stage.sandbox.model_base}/openai/v1"}
    bot_id = stage.add_bot()
    hold = {"action": "HOLD"}
    say(stage, hold, hold, hold)
    take_turn(stage, bot_id)
    allocate_capital(scope=acme, bot_id=bot_id, capital=D(capital))
    take_turn(stage, bot_id)
    assert Halt.objects.filter(lifted_at=None).exists() is is_halted
    assert Participant.objects.get(pk=bot_id).peak_equity == capital
    BotAccount.objects.filter(bot_id=bot_id).update(cash_flow=-D(capital) * D("0.6"))
    take_turn(stage, bot_id)
    assert Halt.objects.get(lifted_at=None).kind == HaltKind.DRAWDOWN, "what it loses then is a fall"


def test_a_switch_of_an_operators_stands_over_what_a_client_or_a_rule_pulled(stage: Stage, acme: Scope) -> None:
    bot_id = stage.add_bot()
    by_key = Scope(actor="key:tbo_0123456789")
    halt(scope=acme, halt_scope=HaltScope.BOT, bot_id=bot_id, reason="mine", now=stage.now)
    first = halt(scope=by_key, halt_scope=HaltScope.BOT, bot_id=bot_id, reason="fraud", now=stage.now)
    assert halt(scope=by_key, halt_scope=HaltScope.BOT, bot_id=bot_id, reason="again", now=stage.now) == first
    with pytest.raises(Forbidden):
        lift_halt(scope=acme, halt_id=first, now=stage.now)
    assert halt(scope=acme, halt_scope=HaltScope.BOT, bot_id=bot_id, reason="mine", now=stage.now) == first
    assert Halt.objects.get(lifted_at=None).reason == "fraud"
    lift_halt(scope=OPERATOR, halt_id=first, now=stage.now)
    Participant.objects.filter(pk=bot_id).update(unreadable_in_row=10)
    with SCOPE.transaction():
        assert halt_by_rule(Participant.objects.get(pk=bot_id), ArenaSettings(), equity=None, now=stage.now)
    second = halt(scope=by_key, halt_scope=HaltScope.BOT, bot_id=bot_id, reason="fraud", now=stage.now)
    with pytest.raises(Forbidden):
        lift_halt(scope=acme, halt_id=second, now=stage.now)
    stage.refresh()
    reset_participant(scope=acme, bot_id=bot_id, now=stage.now)
    assert Halt.objects.get(lifted_at=None).id == second, "a reset lifts what a rule pulled, and no switch"
    assert Incident.objects.get().resolved_at is not None


@pytest.mark.parametrize("how", ["delisted", "another exchange"])
def test_what_no_exchange_lists_any_more_is_closed_by_hand_at_the_last_price_seen(
    stage: Stage, acme: Scope, how: str
) -> None:
    bot_id = stage.add_bot()
    stage.price("BTC/USDT", "51000")
    stage.refresh()
    position = play(stage, bot_id)
    stage.refresh()
    old = ArenaMarket.objects.filter(symbol="BTC/USDT")
    if how == "delisted":
        old.update(is_traded=False, observed_at=stage.now - timedelta(hours=2))
    else:
        ArenaSettings.objects.update(exchange="kraken")
    with pytest.raises(Conflict, match="nothing is closed"):  # it was seen a moment ago: the exchange may be away
        close_position(scope=acme, bot_id=bot_id, position=str(position), now=stage.now)
    for turn_id in claim_turns(now=stage.now):  # none before the first prices of an exchange
        assert play_turn(turn_id) == "skipped" and how == "delisted"
        assert "no fresh price of BTC/USDT, which it holds" in ArenaTurn.objects.get(pk=turn_id).message
    Position.objects.update(marked_at=stage.now - timedelta(hours=2))
    if how != "delisted":
        with pytest.raises(Conflict, match="nothing is closed"):  # nothing of the new exchange was read yet
            reset_participant(scope=acme, bot_id=bot_id, now=stage.now)
        ArenaMarket.objects.create(exchange="kraken", symbol="ETH/USDT", rules_at=stage.now)
    done = close_position(scope=acme, bot_id=bot_id, position=str(position), now=stage.now)
    assert (done.price, Trade.objects.get(id=done.trade_id).cause) == (D(51_000), "operator")
    assert "last price seen" in Trade.objects.get(id=done.trade_id).note
    play(stage, bot_id)
    Position.objects.filter(status="open").update(mark_price=D(50_500), marked_at=stage.now - timedelta(hours=2))
    reset_participant(scope=acme, bot_id=bot_id, now=stage.now)
    assert not Position.objects.filter(status="open").exists()
    ledger_is_right()
