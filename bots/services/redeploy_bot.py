"""A changed config on a bot that runs: it is taken down, and comes back with the config as it then is."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from bots.models import BotDeployment
from bots.rules.words import DeploymentStatus
from bots.services.deployments import nudge_workers, open_one
from bots.services.manage_bots import lock_bot
from ground.errors import Conflict
from ground.scope import Scope, on_commit


def redeploy_bot(*, scope: Scope, bot_id: UUID, now: datetime) -> bool:
    """Have what runs replaced by a deployment with the bot's present config, never beside it; False when nothing runs.

    Raises NotFound, or Conflict while a deployment is under way whose config cannot be changed any more.
    """
    with scope.transaction():
        bot = lock_bot(scope, bot_id)
        latest = open_one(bot.id)
        if latest is None:
            return False
        on_commit(nudge_workers)
        mine = BotDeployment.objects.filter(id=latest.id, status=latest.status)
        if latest.status == DeploymentStatus.STOPPING:
            return True  # what follows it takes the present config
        if latest.status == DeploymentStatus.LIVE:
            changed = mine.update(status=DeploymentStatus.STOPPING, due_at=now, confirmed_at=None)
        elif latest.status == DeploymentStatus.WANTED:
            changed = mine.filter(lease_until=None).update(config=bot.config, due_at=now)
        else:
            changed = 0
        if not changed:
            raise Conflict(
                "The bot is just being deployed, so its config cannot change now; try again in a moment.",
                code="being_deployed",
            )
        return True
