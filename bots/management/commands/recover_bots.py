"""Rebuild bot definitions from what Hummingbot knows."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from bots.gateways.connect import configured_gateway
from bots.rules.lost_facts import Action, Proposal
from bots.services.propose_recovery import known_instances, propose_recovery
from bots.services.recover_definitions import recover_definition
from bots.services.survey_hummingbot import survey_hummingbot
from ground.errors import BridgeError
from ground.http import exact_json
from ground.scope import system_scope

SCOPE = system_scope("recovery")


class Command(BaseCommand):
    help = (
        "Reads Hummingbot's status, containers, log of deploys, configs and archived bots, and rebuilds the definitions "
        "that are missing here. Says of each field where it comes from, and what the workers then do in Hummingbot."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")
        parser.add_argument(
            "--client", action="append", default=[], metavar="NAME=ACCOUNT",
            help="Whose the bot of this name in Hummingbot is, where its account does not say; may be repeated.",
        )  # fmt: skip
        parser.add_argument(
            "--only", action="append", default=[], metavar="NAME", help="Only this bot; may be repeated."
        )

    def handle(self, *args: Any, dry_run: bool, client: list[str], only: list[str], **options: Any) -> None:
        gateway = configured_gateway(timeout_s=30)
        if gateway is None:
            raise CommandError("No Hummingbot is configured: set HUMMINGBOT_API_URL.")
        owners = dict(_owner(text) for text in client)
        try:
            found = survey_hummingbot(gateway, known=known_instances(SCOPE))
            proposals = propose_recovery(scope=SCOPE, found=found, owners=owners)
        except BridgeError as error:
            raise CommandError(error.message) from None
        if only:
            proposals = [one for one in proposals if one.key in only or any(i.name in only for i in one.instances)]
        for proposal in proposals:
            self._tell(proposal)
            if not dry_run and proposal.action != Action.SKIP:
                done = recover_definition(scope=SCOPE, proposal=proposal, now=timezone.now())
                self.stdout.write(f"  {'REFUSED: ' if done.was_refused else ''}{done.says}")
        self._sum_up(proposals, dry_run=dry_run)

    def _tell(self, proposal: Proposal) -> None:
        self.stdout.write(f"{proposal.action}: {proposal.key}: {proposal.why}")
        for instance in proposal.instances:
            self.stdout.write(f"  instance {instance.name}: {instance.life}")
        for name, sourced in proposal.fields.items():
            value = sourced.value if isinstance(sourced.value, str) else exact_json(sourced.value)
            self.stdout.write(f"  {name} = {value}  (from {sourced.source})")
        for note in proposal.notes:
            self.stdout.write(f"  note: {note}")
        if proposal.then:
            self.stdout.write(f"  then: {proposal.then}")

    def _sum_up(self, proposals: list[Proposal], *, dry_run: bool) -> None:
        if not proposals:
            self.stdout.write("Hummingbot knows no bot that is not managed here.")
            return
        counts = {action: sum(one.action == action for one in proposals) for action in Action}
        told = ", ".join(f"{count} to {action}" for action, count in counts.items() if count)
        if counts[Action.SKIP] == len(proposals):
            told = f"Nothing to recover; {told}, for the reasons above"
        self.stdout.write(f"{told}.{' Nothing was changed (dry run).' if dry_run else ''}")


def _owner(text: str) -> tuple[str, str]:
    name, _, account = text.partition("=")
    if not name or not account:
        raise CommandError(f"--client wants NAME=ACCOUNT, not {text!r}.")
    return name, account
