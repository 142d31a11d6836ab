"""One process of Trading Bridge by itself, as the Procfile starts it: ``python -m bridge_project.up.process web``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from bridge_project.up import environment, programs
from bridge_project.up.manage import run_command
from bridge_project.up.processes import StartRefused

NAMES = ("release", "web", "stream", "worker", "now", "arena", "beat")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bridge_project.up.process")
    parser.add_argument("name", choices=NAMES)
    options = parser.parse_args(arguments)
    try:
        _refuse_embedded(options.name)
        home = environment.home_folder()
        variables, servers = environment.prepare(home)
        command = _command(options.name, home=home)
    except (StartRefused, ValueError) as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    environ = {**os.environ, **variables, "PYTHONUNBUFFERED": "1"}
    if not servers.all():
        os.chdir(programs.CHECKOUT)
        os.execve(command[0], command, environ)  # noqa: S606 (no shell is wanted)
    try:
        servers.start()
    except StartRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    try:
        return run_command(command, environ)
    finally:
        servers.stop()


def _refuse_embedded(name: str) -> None:
    """A container's own disk loses everything at the next deployment, and each container would have its own."""
    if os.environ.get("ALLOW_EMBEDDED") == "1":
        return
    needed = ["DATABASE_URL"] if name == "release" else ["DATABASE_URL", "REDIS_URL"]
    missing = [variable for variable in needed if not os.environ.get(variable)]
    if missing:
        raise StartRefused(
            f"{' and '.join(missing)} must be set: without it the data would lie on this container's own disk and be "
            "lost with the next deployment. Add PostgreSQL and Redis to the project and refer to their addresses "
            "(docs/deploy.md). ALLOW_EMBEDDED=1 starts all the same, on a disk you keep."
        )


def _command(name: str, *, home: Path) -> list[str]:
    port = os.environ.get("PORT") or "8000"
    if not port.isdecimal():
        raise ValueError("PORT must be a number.")
    commands: dict[str, Callable[[], list[str]]] = {
        "release": lambda: programs.manage(
            "prepare_start", "--url", os.environ.get("PUBLIC_URL", f"http://localhost:{port}")
        ),
        "web": lambda: programs.web(host=os.environ.get("HOST") or "0.0.0.0", port=int(port)),  # noqa: S104
        "stream": lambda: programs.stream(host=os.environ.get("HOST") or "0.0.0.0", port=int(port)),  # noqa: S104
        "worker": programs.worker,
        "now": programs.now,
        "arena": programs.arena,
        "beat": lambda: programs.beat(home=home),
    }
    return commands[name]()


if __name__ == "__main__":
    sys.exit(main())
