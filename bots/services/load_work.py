"""What a run of the reconciler needs to know of one deployment, read at once."""

from __future__ import annotations

from dataclasses import dataclass

from bots.models import Bot, BotDeployment, BotRuntime, BotTemplate
from bots.rules import reconcile as rules
from bots.rules.words import DeploymentStatus, DesiredStatus, TemplateKind
from bots.services.deployments import RECONCILER, Lease
from bots.services.manage_bots import template_of
from bots.services.runtime_records import as_observation
from bots.types import Observation, Template

WATCHED = (DeploymentStatus.LIVE, DeploymentStatus.STOPPING, DeploymentStatus.RETIRING)


@dataclass(frozen=True, slots=True)
class Work:
    lease: Lease
    bot: Bot
    deployment: BotDeployment
    template: Template | None
    previous: Observation | None

    @property
    def kind(self) -> TemplateKind:
        return TemplateKind(self.template.kind) if self.template else TemplateKind.CONTROLLER

    @property
    def wish(self) -> rules.Wish:
        wants = DesiredStatus(self.bot.desired_status)
        if self.bot.retired_at is not None:
            wants = DesiredStatus.STOPPED
        return rules.Wish(desired=wants, at=self.bot.desired_at or self.deployment.created_at)

    @property
    def facts(self) -> rules.Deployment:
        row = self.deployment
        return rules.Deployment(
            status=DeploymentStatus(row.status),
            kind=self.kind,
            clean_lookups=row.clean_lookups,
            sent_at=row.sent_at,
            confirmed_at=row.confirmed_at,
            stop_sent_at=row.stop_sent_at,
            archive_sent_at=row.archive_sent_at,
        )


def load_work(lease: Lease) -> Work | None:
    """The deployment and its bot as they are now, or None when the lease was lost or nothing is left to do."""
    with RECONCILER.transaction():
        row = (
            BotDeployment.objects.select_related("bot__client", "bot__connector__client")
            .filter(id=lease.deployment_id, lease_token=lease.token)
            .exclude(status__in=(DeploymentStatus.ENDED, DeploymentStatus.FAILED))
            .first()
        )
        if row is None:
            return None
        template = BotTemplate.objects.filter(name=row.bot.strategy).first()
        runtime = BotRuntime.objects.filter(bot_id=row.bot_id).first()
    return Work(
        lease=lease,
        bot=row.bot,
        deployment=row,
        template=template_of(template) if template else None,
        previous=as_observation(runtime, row.instance_name),
    )
