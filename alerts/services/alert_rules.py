"""Making and changing the rules of a channel."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from alerts.models import AlertRule
from alerts.rules.silence import check_timezone
from alerts.rules.words import Severity
from alerts.services.channels import find_channel
from ground.errors import InvalidInput, NotFound
from ground.scope import Scope

FIELDS = (
    "name", "is_enabled", "kinds", "min_severity", "after_minutes", "repeat_minutes", "sends_recovery", "quiet_from",
    "quiet_until", "quiet_days", "quiet_timezone", "critical_breaks_quiet",
)  # fmt: skip
LONGEST_MINUTES = 10080
_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")


def create_rule(*, scope: Scope, channel_id: UUID, name: str, **fields: Any) -> UUID:
    """A rule of a channel; what is not said is as the table says (``FIELDS``). Raises NotFound, InvalidInput."""
    channel = find_channel(scope=scope, channel_id=channel_id)
    rule = AlertRule(channel_id=channel_id, client_id=channel.client_id)
    _set(rule, {"name": name, **fields})
    with scope.transaction(reason="rule created"):
        _save(rule)
    return rule.id


def change_rule(*, scope: Scope, rule_id: UUID, changes: dict[str, Any]) -> None:
    """Change what ``changes`` names; messages that its quiet hours keep back are looked at again. Raises NotFound,
    InvalidInput."""
    with scope.transaction(reason="rule changed"):
        rule = AlertRule.objects.select_for_update().filter(id=rule_id).first()
        if rule is None:
            raise NotFound("There is no such rule.")
        _set(rule, changes)
        _save(rule)


def delete_rule(*, scope: Scope, rule_id: UUID) -> None:
    """Its messages stay, and those on their way still leave. Raises NotFound."""
    with scope.transaction(reason="rule deleted"):
        found, _ = AlertRule.objects.filter(id=rule_id).delete()
    if not found:
        raise NotFound("There is no such rule.")


def check_rule(rule: AlertRule) -> None:
    """Whether its fields make sense alone and together. Raises InvalidInput naming the field."""
    if not 1 <= len(rule.name.strip()) <= 100:
        raise _bad("name", "A name has 1 to 100 characters.")
    if not isinstance(rule.kinds, list) or not all(isinstance(kind, str) and _KIND.match(kind) for kind in rule.kinds):
        raise _bad("kinds", 'Kinds are a list of words as incidents have them: ["bot_health", "exchange_down"].')
    if rule.min_severity not in list(Severity):
        raise _bad("min_severity", "A severity is info, warning or critical.")
    if not _is_minutes(rule.after_minutes, at_least=0):
        raise _bad("after_minutes", f"An escalation comes after 0 to {LONGEST_MINUTES} minutes.")
    if rule.repeat_minutes is not None and not _is_minutes(rule.repeat_minutes, at_least=1):
        raise _bad("repeat_minutes", f"A reminder comes every 1 to {LONGEST_MINUTES} minutes, or never (empty).")
    _check_quiet(rule)


def _check_quiet(rule: AlertRule) -> None:
    if (rule.quiet_from is None) != (rule.quiet_until is None):
        raise _bad("quiet_until", "Quiet hours have a begin and an end.")
    if rule.quiet_from is not None and rule.quiet_from == rule.quiet_until:
        raise _bad(
            "quiet_until", "Quiet hours that begin and end at once would never end; switch the rule off instead."
        )
    days = rule.quiet_days
    if not isinstance(days, list) or not all(type(day) is int and 1 <= day <= 7 for day in days):
        raise _bad("quiet_days", "Days are a list of numbers, 1 Monday to 7 Sunday.")
    try:
        check_timezone(rule.quiet_timezone)
    except ValueError as error:
        raise _bad("quiet_timezone", str(error)) from None


def _set(rule: AlertRule, changes: dict[str, Any]) -> None:
    unknown = sorted(set(changes) - set(FIELDS))
    if unknown:
        raise InvalidInput(f"A rule has no {', '.join(unknown)}.", fields={name: ["unknown"] for name in unknown})
    for name, value in changes.items():
        setattr(rule, name, value)
    check_rule(rule)


def _save(rule: AlertRule) -> None:
    try:
        rule.save()
    except IntegrityError as error:
        if "name_key" in str(error):
            raise _bad("name", "The channel has a rule of this name already.") from None
        raise


def _is_minutes(value: Any, *, at_least: int) -> bool:
    return type(value) is int and at_least <= value <= LONGEST_MINUTES


def _bad(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, fields={field: [sentence]})
