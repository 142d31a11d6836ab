"""``bin/bench NAME [--quick]``: runs a benchmark; progress on standard error, one JSON line last on standard output.

Exit code 1: what it checks does not hold (``failed`` in that line tells what).
"""

from __future__ import annotations

import argparse
import json
import sys

from bench import api, arena, cadence, chaos, health, import_arena, ledger, restore

BENCHMARKS = {
    "api": api.run,
    "arena": arena.run,
    "cadence": cadence.run,
    "chaos": chaos.run,
    "health": health.run,
    "import": import_arena.run,
    "ledger": ledger.run,
    "restore": restore.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench", description="Measure the product beside its references.")
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="little data and short rounds: shows that it works")
    parser.add_argument("--only", default="", help="a part of a work's name, to measure that one alone")
    parser.add_argument("--keep", default="", help="ledger: a folder for the data, to be used again by the next run")
    parser.add_argument("--seed", type=int, default=1, help="cadence: another fleet; chaos: another evil")
    parser.add_argument("--minutes", type=float, default=0, help="chaos: for how long; 10, or 0.75 with --quick")
    parser.add_argument("--strategies", type=int, default=0, help="restore: how many; 1,000, or 14 with --quick")
    options = parser.parse_args()
    more: dict[str, object] = {"keep_in": options.keep} if options.keep else {}
    if options.name in ("cadence", "chaos"):
        more["seed"] = options.seed
    if options.name == "chaos":
        more["minutes"] = options.minutes
    if options.name == "restore":
        more["strategies"] = options.strategies
    result = BENCHMARKS[options.name](quick=options.quick, only=options.only, **more)
    sys.stdout.write(json.dumps(result) + "\n")
    return 1 if result.get("failed") else 0


if __name__ == "__main__":
    sys.exit(main())
