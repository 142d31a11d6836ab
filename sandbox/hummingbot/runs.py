"""The API's own log of deployments: rows it hardly ever corrects."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson


@dataclass
class Run:
    """One row of bot-runs, as it goes over the wire."""

    id: int
    bot_name: str
    instance_name: str
    deployed_at: str
    stopped_at: str | None
    strategy_type: str
    strategy_name: str
    config_name: str | None
    account_name: str
    image_version: str
    deployment_status: str
    run_status: str
    deployment_config: str
    final_status: str | None = None
    error_message: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def iso_now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Runs:
    """Newest first when listed."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.rows: dict[int, Run] = {}

    def record(self, *, bot: str, deployment: dict[str, Any], account: str, image: str, script: str | None) -> Run:
        run = Run(
            id=next(self._ids),
            bot_name=bot,
            instance_name=bot,
            deployed_at=iso_now(),
            stopped_at=None,
            strategy_type="controller" if script is None else "script",
            strategy_name="v2_with_controllers" if script is None else script,
            config_name=deployment.get("script_config"),
            account_name=account,
            image_version=image,
            deployment_status="DEPLOYED",
            run_status="CREATED",
            deployment_config=orjson.dumps(deployment).decode(),
        )
        self.rows[run.id] = run
        return run

    def of_bot(self, bot: str) -> Run | None:
        return next((run for run in reversed(self.rows.values()) if run.bot_name == bot), None)

    def mark_stopped(self, bot: str, final_status: dict[str, Any]) -> None:
        """Written before the bot is even told."""
        if run := self.of_bot(bot):
            run.run_status, run.stopped_at = "STOPPED", iso_now()
            run.final_status = orjson.dumps(final_status).decode()

    def mark_archived(self, bot: str) -> None:
        if run := self.of_bot(bot):
            run.deployment_status, run.stopped_at = "ARCHIVED", iso_now()

    def load(self, rows: list[dict[str, Any]]) -> None:
        self.rows = {row["id"]: Run(**row) for row in rows}
        self._ids = itertools.count(max(self.rows, default=0) + 1)
