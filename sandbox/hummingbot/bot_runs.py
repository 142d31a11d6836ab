"""Router /bot-orchestration/bot-runs: the log of deployments. Stands before the routes that take a bot's name."""

from __future__ import annotations

from collections import Counter

from sandbox.http import Call, Reply, Routes
from sandbox.hummingbot.engine import Hummingbot
from sandbox.hummingbot.validation import detail, integer, query_integer

ROUTES = Routes()
_FILTERS = ("bot_name", "account_name", "strategy_type", "strategy_name", "run_status", "deployment_status")


@ROUTES.on("GET", "/bot-orchestration/bot-runs")
def runs(hummingbot: Hummingbot, call: Call) -> Reply:
    """Newest first; ``total`` is the length of this page, as in the original."""
    limit, offset = query_integer(call, "limit", 100), query_integer(call, "offset", 0)
    rows = [run.to_json() for run in reversed(hummingbot.runs.rows.values())]
    rows = [row for row in rows if all(call.query.get(name) in (None, row[name]) for name in _FILTERS)]
    page = rows[offset : offset + limit]
    return Reply({"status": "success", "data": page, "total": len(page), "limit": limit, "offset": offset})


@ROUTES.on("GET", "/bot-orchestration/bot-runs/stats")
def stats(hummingbot: Hummingbot, call: Call) -> Reply:
    rows = hummingbot.runs.rows.values()
    data = {
        "total_runs": len(rows),
        # Nothing ever writes RUNNING.
        "active_runs": 0,
        "strategy_type_counts": dict(Counter(run.strategy_type for run in rows)),
        "status_counts": dict(Counter(run.run_status for run in rows)),
    }
    return Reply({"status": "success", "data": data})


@ROUTES.on("GET", "/bot-orchestration/bot-runs/{bot_run_id}")
def run_by_id(hummingbot: Hummingbot, call: Call) -> Reply:
    number = integer(call.params["bot_run_id"], ["path", "bot_run_id"])
    run = hummingbot.runs.rows.get(number)
    return Reply({"status": "success", "data": run.to_json()}) if run else detail(404, f"Bot run {number} not found")


@ROUTES.on("DELETE", "/bot-orchestration/bot-runs/{bot_run_id}")
def delete_run(hummingbot: Hummingbot, call: Call) -> Reply:
    number = integer(call.params["bot_run_id"], ["path", "bot_run_id"])
    if (run := hummingbot.runs.rows.pop(number, None)) is None:
        return detail(404, f"Bot run {number} not found")
    return Reply(
        {
            "status": "success",
            "message": f"Bot run {number} deleted successfully",
            "bot_name": run.bot_name,
            "archived_folder_deleted": run.deployment_status == "ARCHIVED",
        }
    )
