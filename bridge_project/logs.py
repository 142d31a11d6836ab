"""Structured logs on standard error, one line an event; no logger of ours or of a library ever prints a secret."""

from __future__ import annotations

import logging
import logging.config
import re
import sys
from typing import Any

import structlog

_KEY = re.compile(r"(tb[ocp]_[a-z0-9]{10})_[A-Za-z0-9]{20,}")


def without_keys(line: str) -> str:
    """The line with any key of ours cut to its prefix: a ping's address holds one."""
    return _KEY.sub(r"\1_…", line)


def veil_event(event: Any, _hint: Any = None) -> Any:
    """What goes to Sentry, with every key cut in the same way."""
    if isinstance(event, str):
        return without_keys(event)
    if isinstance(event, dict):
        return {name: veil_event(value) for name, value in event.items()}
    return [veil_event(item) for item in event] if isinstance(event, list | tuple) else event


def configure(options: dict[str, Any]) -> None:
    """Called by Django with settings.LOGGING."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Plain: the rich one, where it is installed, prints local variables, and those can be secrets.
                structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
                lambda _logger, _name, line: without_keys(str(line)),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(options["level"])
    # These print requests, addresses or tracebacks that can hold a signed URL or a key.
    for name in ("ccxt", "urllib3", "requests", "aiohttp", "asyncio", "kombu", "amqp", "redis", "psycopg"):
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    logging.getLogger("django.db.backends").setLevel(logging.INFO)
    logging.getLogger("celery.worker.request").setLevel(
        logging.WARNING
    )  # ticks that came too late are dropped, as meant
    logging.getLogger("django.request").setLevel(logging.ERROR)  # refusals are answers, not events
    # Ticks that come every second say nothing unless they fail.
    for name in ("celery.beat", "celery.worker.strategy", "celery.app.trace", "axes"):
        logging.getLogger(name).setLevel(logging.WARNING if root.level == logging.INFO else root.level)
