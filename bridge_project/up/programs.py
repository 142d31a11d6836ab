"""The commands of the processes that make up Trading Bridge, the same under bin/up and on a platform."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CELERY = (sys.executable, "-m", "celery", "--quiet", "-A", "bridge_project")
# Workers need no news of each other; listening for it costs a second at the start.
ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")


def web(*, host: str, port: int) -> list[str]:
    """WEB_WORKERS processes of WEB_THREADS threads (2 of 4)."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)),
        *("--workers", _number("WEB_WORKERS", 2), "--blocking-threads", _number("WEB_THREADS", 4)),
        *("--no-ws", "--respawn-failed-workers", "--workers-kill-timeout", "2", "--log-level", "warning"),
        "bridge_project.wsgi:application",
    ]


def stream(*, host: str, port: int) -> list[str]:
    """Live updates: one process that waits with thousands of listeners at once."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--host", host, "--port", str(port)),
        *("--workers", "1", "--backlog", "4096", "--backpressure", "20000", "--respawn-failed-workers"),
        *("--workers-kill-timeout", "2", "--log-level", "warning", "bridge_project.stream.app:application"),
    ]


def worker() -> list[str]:
    """Health cycles, polling and reconciling: WORKER_CONCURRENCY processes (4)."""
    return [*CELERY, "worker", "-Q", "celery", "-n", "worker@%h", "-c", _number("WORKER_CONCURRENCY", 4), *ALONE]


def now() -> list[str]:
    """What a person waits for, never behind a cycle: NOW_CONCURRENCY processes (2)."""
    return [*CELERY, "worker", "-Q", "now", "-n", "now@%h", "-c", _number("NOW_CONCURRENCY", 2), *ALONE]


def arena() -> list[str]:
    """Turns of the arena, which mostly wait for language models: up to ARENA_CONCURRENCY threads (32) of one process, each
    made when it is first needed."""
    threads = ("-P", "threads", "-c", _number("ARENA_CONCURRENCY", 32))
    return [*CELERY, "worker", "-Q", "arena", "-n", "arena@%h", *threads, *ALONE]


def beat(*, home: Path) -> list[str]:
    """The clock. Its file only remembers when it last struck and may be lost."""
    return [*CELERY, "beat", "-s", str(home / "run" / "beat-schedule"), "--pidfile="]


def manage(*words: str) -> list[str]:
    return [sys.executable, str(CHECKOUT / "manage.py"), *words]


def _number(name: str, default: int) -> str:
    """Raises ValueError with a sentence that names the variable."""
    text = os.environ.get(name) or str(default)
    if not (text.isdecimal() and 1 <= int(text) <= 256):
        raise ValueError(f"{name} must be a whole number from 1 to 256.")
    return text
