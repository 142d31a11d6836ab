"""Workers of the arena in processes of their own, quickly started: the libraries are imported once and each line "start" on
standard input forks a worker and prints its process id. Every worker claims and plays turns and guards positions until
somebody kills it; what it raises, it prints. When standard input ends, all of them do.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import timedelta

import django

AT_ONCE = 2  # turns that one worker claims, so that several hold some
PAUSE_S = 0.02


def main() -> None:
    django.setup()
    from arena.gateways import library, refusals  # noqa: F401 - imported once for all
    from arena.rules.statuses import ProviderKind
    from arena.services import claim_turns, guard_positions, play_turn, report_health  # noqa: F401
    from arena.types_models import ProviderAccess
    from exchanges.gateways.configured import configured_gateways
    from ground.scope import use_operator_outside_scopes

    use_operator_outside_scopes()
    configured_gateways()
    library.prepare(ProviderAccess("", ProviderKind.OPENAI, "sandbox", "", ""), "http://127.0.0.1:9/v1")
    claim_turns.ASK_AGAIN = timedelta(seconds=1)  # time goes faster here
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.setpgid(0, 0)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _work()
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    os.killpg(0, signal.SIGKILL)


def _work() -> None:
    """What beat and the queues have workers do, all in one: each looks for what is due."""
    from django.utils import timezone

    from arena.services.claim_turns import claim_turns
    from arena.services.guard_positions import guard_positions
    from arena.services.play_turn import play_turn
    from arena.services.refresh_prices import refresh_prices
    from arena.services.report_health import judge_participants
    from exchanges.gateways.configured import configured_gateways

    while True:
        if refresh_prices(gateways=configured_gateways(), now=timezone.now()) is not None:
            guard_positions(now=timezone.now())
            judge_participants(now=timezone.now())
        for turn_id in claim_turns(now=timezone.now(), most=AT_ONCE):
            play_turn(turn_id)
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
