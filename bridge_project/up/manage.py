"""``bin/manage COMMAND``: a Django command on the same data, whether bin/up runs or not.

``bin/manage make_secrets`` and ``bin/manage exec PROGRAM ...`` (any program, in the same environment) need no Django.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from bridge_project.up import environment, programs
from bridge_project.up.processes import StartRefused


def main(arguments: list[str]) -> int:
    """Standard output belongs to the command; what we have to say goes to standard error."""
    if arguments[:1] == ["make_secrets"]:
        for name, value in environment.make_secrets().items():
            sys.stdout.write(f"{name}={value}\n")
        return 0
    try:
        home = environment.home_folder()
        variables, servers = environment.prepare(home)
        variables |= _running_demo(home)
        servers.start()
    except StartRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    environ = {**os.environ, **variables}
    if servers.database:  # psql for dbshell, pg_dump for backups
        environ["PATH"] = f"{servers.database.programs()}{os.pathsep}{environ.get('PATH', os.defpath)}"
    command = arguments[1:] if arguments[:1] == ["exec"] and arguments[1:] else programs.manage(*arguments)
    try:
        return run_command(command, environ, folder=_called_from(environ))
    except FileNotFoundError:
        sys.stderr.write(f"There is no program {command[0]}.\n")
        return 127
    finally:
        servers.stop()


def run_command(command: list[str], environ: dict[str, str], *, folder: Path | None = None) -> int:
    """The command as a child in our session: Ctrl-C reaches it by itself, other signals are passed on."""
    process = subprocess.Popen(command, env=environ, cwd=folder or programs.CHECKOUT)
    signal.signal(signal.SIGINT, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: process.send_signal(received))
    code = process.wait()
    return code if code >= 0 else 128 - code


def _running_demo(home: Path) -> dict[str, str]:
    """What a running ``bin/up --demo`` added to the environment; nothing when none runs."""
    try:
        note = json.loads((home / "run" / "up.json").read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in note["environ"].items()}
    except (OSError, ValueError, KeyError, AttributeError):
        return {}


def _called_from(environ: dict[str, str]) -> Path | None:
    """Where the person stood, so that file names on the command line mean what they should."""
    folder = environ.get("BRIDGE_CALLED_FROM")
    return Path(folder) if folder and Path(folder).is_dir() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
