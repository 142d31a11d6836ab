"""Show what a restore would do, ask for one, or end the one that is open."""

from __future__ import annotations

import getpass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from exchanges.gateways.configured import configured_gateways
from ground.errors import BridgeError
from ground.scope import Scope
from strategies.models import RestoreRun, RestoreStep
from strategies.rules.restore import OPEN_RUNS, RestoreReason
from strategies.services.restore_requests import request_restore, stop_restore
from strategies.services.restore_runs import work_on_restores


class Command(BaseCommand):
    help = (
        "Brings strategies back that should run and do not: order, distance and what is open are shown. Workers do it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Show the plan and what is open; restore nothing.")
        parser.add_argument("--stop", action="store_true", help="End the open run; its bots recover by themselves.")
        parser.add_argument("--spacing", type=Decimal, metavar="SECONDS", help="Least time between two deployments.")

    def handle(self, *args: Any, dry_run: bool, stop: bool, spacing: Decimal | None, **options: Any) -> None:
        scope = Scope(actor=f"operator:{getpass.getuser()}")
        try:
            if stop:
                self._stop(scope)
            else:
                self._restore(scope, spacing, is_dry_run=dry_run)
        except BridgeError as error:
            raise CommandError(error.message) from None

    def _restore(self, scope: Scope, spacing: Decimal | None, *, is_dry_run: bool) -> None:
        spacing_s = settings.STRATEGY_RESTORE_SPACING_SECONDS if spacing is None else spacing
        if not 0 <= spacing_s <= 3600:
            raise CommandError("--spacing must be 0 to 3600 seconds.")
        run_id = request_restore(
            scope=scope, reason=RestoreReason.OPERATOR, spacing_s=spacing_s, now=timezone.now(), is_dry_run=is_dry_run
        )
        if not is_dry_run:
            self.stdout.write(
                f"Restore {run_id} is open; workers work on it. GET /api/live-strategy/restores shows it."
            )
            return
        work_on_restores(gateways=configured_gateways(), only=run_id)
        with scope.transaction():
            steps = list(RestoreStep.objects.filter(run_id=run_id))
        for step in steps:
            self.stdout.write(f"{step.position:4} {step.action:7} {step} on {step.exchange}: {step.message}")
        self.stdout.write(f"{len(steps)} strategies should run. Nothing was changed.")

    def _stop(self, scope: Scope) -> None:
        with scope.transaction():
            found = RestoreRun.objects.filter(is_dry_run=False, status__in=OPEN_RUNS).first()
        if found is None:
            raise CommandError("No restore is open.")
        stop_restore(scope=scope, run_id=found.id, now=timezone.now())
        self.stdout.write(f"Restore {found.id} was ended.")
