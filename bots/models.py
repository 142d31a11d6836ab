"""Tables: bots and their templates, what was observed of them, their deployments in Hummingbot, and its own state."""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from bots import models_lost as models_lost  # noqa: PLC0414 - registers its tables
from bots.models_drift import BotDrift as BotDrift  # noqa: PLC0414 - so that strict modules may import it
from bots.models_drift import BotDriftLook as BotDriftLook  # noqa: PLC0414
from bots.models_recovery import BotRecovery as BotRecovery  # noqa: PLC0414 - so that strict modules may import it
from bots.rules.words import (
    OPEN_DEPLOYMENTS,
    DeploymentStatus,
    DesiredStatus,
    HealthStatus,
    ReportedStatus,
    RuntimeKind,
    RuntimeStatus,
    TemplateKind,
)
from clients.models import Client, Connector, one_of
from ground.fields import ExactJSONField


class BotTemplate(models.Model):
    """Maps a strategy label and a bot's config to a Hummingbot controller or script, validated by a JSON schema."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True, help_text="The strategy label that bots name.")
    description = models.CharField(max_length=300, blank=True, default="")
    kind = models.CharField(max_length=16, choices=[(k, k) for k in TemplateKind], default=TemplateKind.CONTROLLER)
    controller_type = models.CharField(max_length=64, blank=True, default="")
    controller_name = models.CharField(max_length=64, help_text="Hummingbot's controller or script.")
    defaults = ExactJSONField(default=dict, blank=True)
    schema = ExactJSONField(default=dict, blank=True, help_text="JSON Schema of a bot's config.")
    mapping = ExactJSONField(default=dict, blank=True, help_text="Hummingbot's config key: value or {placeholder}.")
    is_enabled = models.BooleanField(default=True)
    is_shipped = models.BooleanField(default=False, editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "bot_templates"
        ordering = ["name"]
        constraints = [one_of("kind", TemplateKind, "bot_templates_kind_known")]

    def __str__(self) -> str:
        return self.name


class Bot(models.Model):
    """A bot's definition and wish. Desired and reported status each carry their own time; neither overwrites the other."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="bots", db_index=False)
    connector = models.ForeignKey(
        Connector,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="bots",
        help_text="The client's account whose trades are the bot's; empty until the client has one.",
    )
    connector_name = models.CharField(max_length=64, verbose_name="exchange", help_text="Hummingbot's or ccxt's name.")
    name = models.CharField(max_length=200)
    pair = models.CharField(max_length=40, help_text="BASE/QUOTE")
    strategy = models.CharField(max_length=64)
    config = ExactJSONField(default=dict, blank=True)
    runtime_kind = models.CharField(max_length=16, choices=[(k, k) for k in RuntimeKind])

    desired_status = models.CharField(
        max_length=16, choices=[(s, s) for s in DesiredStatus], default=DesiredStatus.CREATED, editable=False
    )
    desired_at = models.DateTimeField(null=True, editable=False)
    desired_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    desired_reason = models.CharField(max_length=300, blank=True, default="", editable=False)
    reported_status = models.CharField(
        max_length=16, choices=[(s, s) for s in ReportedStatus], null=True, editable=False
    )
    reported_at = models.DateTimeField(null=True, editable=False)
    reported_by = models.CharField(max_length=200, blank=True, default="", editable=False)

    stale_minutes = models.DecimalField(
        max_digits=12,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Overrides the threshold for this bot.",
    )
    stopped_minutes = models.DecimalField(
        max_digits=12,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
    )
    source = models.CharField(max_length=50, blank=True, default="", help_text="The old system this row came from.")
    source_id = models.CharField(max_length=200, blank=True, default="")
    deletion_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    deletion_requested_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "bots"
        ordering = ["created_at", "id"]
        constraints = [
            one_of("runtime_kind", RuntimeKind, "bots_runtime_kind_known"),
            one_of("desired_status", DesiredStatus, "bots_desired_status_known"),
            one_of("reported_status", ReportedStatus, "bots_reported_status_known"),
            models.UniqueConstraint(fields=["client", "id"], name="bots_client_id_key"),
            models.UniqueConstraint(
                fields=["source", "client", "source_id"], condition=~Q(source_id=""), name="bots_source_id_key"
            ),
            models.CheckConstraint(
                condition=Q(stale_minutes=None) | Q(stale_minutes__gt=0), name="bots_stale_minutes_positive"
            ),
            models.CheckConstraint(
                condition=Q(stopped_minutes=None) | Q(stopped_minutes__gt=0), name="bots_stopped_minutes_positive"
            ),
            models.CheckConstraint(
                condition=Q(stale_minutes=None) | Q(stopped_minutes=None) | Q(stopped_minutes__gte=F("stale_minutes")),
                name="bots_stopped_not_before_stale",
            ),
        ]
        indexes = [
            models.Index(fields=["client", "created_at", "id"], condition=Q(retired_at=None), name="bots_of_client"),
            models.Index(fields=["created_at", "id"], condition=Q(retired_at=None), name="bots_page"),
            models.Index(fields=["source_id"], condition=~Q(source_id=""), name="bots_source_id"),
            models.Index(
                fields=["id"], condition=Q(retired_at=None, desired_status="running"), name="bots_wanted_running"
            ),
            models.Index(
                fields=["client"], condition=Q(retired_at=None, connector=None), name="bots_without_connector"
            ),
            models.Index(
                fields=["id"], condition=Q(retired_at=None, deletion_requested_at__isnull=False), name="bots_deleting"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.pair} on {self.connector_name})"


class BotRuntime(models.Model):
    """What was last observed of a bot in Hummingbot. Written by the poller alone; unaudited."""

    bot = models.OneToOneField(Bot, on_delete=models.CASCADE, primary_key=True, related_name="runtime")
    client_id = models.UUIDField()
    status = models.CharField(max_length=16, choices=[(s, s) for s in RuntimeStatus])
    explanation = models.CharField(max_length=500, blank=True, default="")
    instance_name = models.CharField(max_length=200, blank=True, default="")
    observed_at = models.DateTimeField(help_text="When Hummingbot last gave a readable answer that showed this.")
    changed_at = models.DateTimeField(help_text="Since when the status is this one.")
    misses = models.PositiveIntegerField(default=0, help_text="Polls in a row in which it was nowhere.")
    performance = models.JSONField(null=True, help_text="The last figures its controllers reported.")
    performance_at = models.DateTimeField(null=True, help_text="When these figures last changed.")
    error_lines = models.JSONField(
        default=list, db_default=[], help_text="The newest lines of its error log, newest first, without secrets."
    )
    errors_at = models.DateTimeField(null=True, help_text="When the newest of these lines was written.")
    nowhere_since = models.DateTimeField(
        null=True, help_text="Since when it is in none of Hummingbot's lists, look after look; empty: it is in one."
    )

    class Meta:
        db_table = "bot_runtime"
        constraints = [one_of("status", RuntimeStatus, "bot_runtime_status_known")]

    def __str__(self) -> str:
        return self.status


class BotHealth(models.Model):
    """The verdict on a bot as it stands. Written by health, and by start and stop; unaudited."""

    bot = models.OneToOneField(Bot, on_delete=models.CASCADE, primary_key=True, related_name="health")
    client_id = models.UUIDField()
    status = models.CharField(max_length=16, choices=[(s, s) for s in HealthStatus], default=HealthStatus.UNKNOWN)
    message = models.CharField(max_length=500, default="Not checked yet.")
    status_updated_at = models.DateTimeField(db_default=Now(), help_text="Since when the verdict is this one.")
    last_known_status = models.CharField(max_length=16, choices=[(s, s) for s in HealthStatus], null=True)
    last_known_at = models.DateTimeField(null=True)
    last_trade_at = models.DateTimeField(null=True)
    confirmed_start_at = models.DateTimeField(null=True, help_text="When the present run was confirmed.")
    last_heartbeat_at = models.DateTimeField(null=True)
    heartbeat_status = models.CharField(max_length=32, blank=True, default="")
    heartbeat_metadata = models.JSONField(null=True)
    heartbeat_detail = models.CharField(
        max_length=300, blank=True, default="", db_default="", help_text="What the last heartbeat said of its run."
    )
    heartbeat_expires_at = models.DateTimeField(
        null=True, help_text="When the bot's own plan has the next heartbeat overdue; empty: the common time-out holds."
    )
    cause = models.CharField(
        max_length=32, blank=True, default="", db_default="",
        help_text="What most likely made the verdict so: balance, key, exchange, runtime or bridge; empty: not known.",
    )  # fmt: skip
    changes_when = models.CharField(
        max_length=500, blank=True, default="", db_default="", help_text="What would change the verdict."
    )
    key_fingerprint = models.CharField(
        max_length=16, blank=True, default="", db_default="",
        help_text="Of the key it was last checked with; gives nothing away.",
    )  # fmt: skip
    shortage = models.CharField(
        max_length=100, blank=True, default="", db_default="",
        help_text="The currencies its account was out of when it was last read; empty: none.",
    )  # fmt: skip
    evidence = models.JSONField(default=list)
    thresholds = models.JSONField(default=dict)
    checked_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(db_default=Now(), help_text="When the schedule checks it next.")

    class Meta:
        db_table = "bot_health"
        verbose_name_plural = "bot health"
        constraints = [
            one_of("status", HealthStatus, "bot_health_status_known"),
            one_of("last_known_status", HealthStatus, "bot_health_last_known_status_known"),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="bot_health_due"),
            models.Index(fields=["status"], name="bot_health_by_status"),
            models.Index(
                fields=["heartbeat_expires_at"],
                condition=Q(heartbeat_expires_at__isnull=False),
                name="bot_health_heartbeat_expiry",
            ),
        ]

    def __str__(self) -> str:
        return self.status


class BotStats(models.Model):
    """A bot's figures: of the last 24 hours (null where they cannot be told) and of all time. The ledger's triggers keep
    the latter as rows come. Unaudited."""

    bot = models.OneToOneField(Bot, on_delete=models.CASCADE, primary_key=True, related_name="stats")
    client_id = models.UUIDField()
    buys_24h = models.PositiveIntegerField(null=True)
    sells_24h = models.PositiveIntegerField(null=True)
    volume_24h = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    pnl = models.DecimalField(
        max_digits=38, decimal_places=18, null=True, help_text="Realised by its trades; empty: none was closed."
    )
    last_price = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    trades = models.BigIntegerField(db_default=0, help_text="Executions.")
    closed_trades = models.BigIntegerField(db_default=0, help_text="Exits whose result is known.")
    wins = models.BigIntegerField(db_default=0)
    losses = models.BigIntegerField(db_default=0)
    gross_profit = models.DecimalField(max_digits=38, decimal_places=18, db_default=0)
    gross_loss = models.DecimalField(max_digits=38, decimal_places=18, db_default=0)
    fees = models.DecimalField(
        max_digits=38, decimal_places=18, db_default=0, help_text="As far as their worth in the quote is known."
    )
    volume = models.DecimalField(max_digits=76, decimal_places=36, db_default=0, help_text="Sum of price x quantity.")
    first_trade_at = models.DateTimeField(null=True)
    last_trade_at = models.DateTimeField(null=True)
    positions_open = models.BigIntegerField(db_default=0)
    positions_closed = models.BigIntegerField(db_default=0)
    decisions = models.BigIntegerField(db_default=0)
    decisions_successful = models.BigIntegerField(db_default=0)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "bot_stats"
        verbose_name_plural = "bot stats"

    def __str__(self) -> str:
        return f"stats of {self.bot_id}"


class BotDeployment(models.Model):
    """One attempt to have a bot run in Hummingbot. A bot has at most one open deployment, enforced here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="deployments", db_index=False)
    client_id = models.UUIDField()
    sequence = models.PositiveIntegerField(help_text="Counts a bot's deployments from 1; part of the name asked for.")
    status = models.CharField(
        max_length=16, choices=[(s, s) for s in DeploymentStatus], default=DeploymentStatus.WANTED
    )
    requested_name = models.CharField(max_length=120, help_text="Hummingbot adds a -YYYYMMDD-HHMMSS suffix to it.")
    instance_name = models.CharField(max_length=200, blank=True, default="", help_text="The name with its suffix.")
    config = ExactJSONField(default=dict, help_text="The config that was deployed.")
    was_adopted = models.BooleanField(default=False, help_text="Found by a look-up after a lost answer.")
    is_refused = models.BooleanField(
        default=False, db_default=False, help_text="It failed because its config was refused, by us or by Hummingbot."
    )
    message = models.CharField(max_length=500, blank=True, default="")
    attempts = models.PositiveIntegerField(default=0)
    clean_lookups = models.PositiveIntegerField(default=0, help_text="Complete look-ups that found no trace of it.")
    requested_by = models.CharField(max_length=200, blank=True, default="")
    sent_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    stop_sent_at = models.DateTimeField(null=True)
    archive_sent_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(db_default=Now(), help_text="When a worker looks at it next.")
    lease_until = models.DateTimeField(null=True, help_text="Somebody works on it until then.")
    lease_token = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "bot_deployments"
        ordering = ["-created_at"]
        constraints = [
            one_of("status", DeploymentStatus, "bot_deployments_status_known"),
            models.UniqueConstraint(fields=["bot", "sequence"], name="bot_deployments_sequence_key"),
            models.UniqueConstraint(
                fields=["bot"],
                condition=Q(status__in=[str(s) for s in OPEN_DEPLOYMENTS]),
                name="bot_deployments_one_open",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=~Q(status__in=["ended", "failed"]), name="bot_deployments_due"),
            models.Index(fields=["instance_name"], name="bot_deployments_instance"),
        ]

    def __str__(self) -> str:
        return self.instance_name or self.requested_name


class HummingbotState(models.Model):
    """What the poller knows of Hummingbot itself: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    due_at = models.DateTimeField(db_default=Now())
    polled_at = models.DateTimeField(null=True)
    last_ok_at = models.DateTimeField(null=True)
    latency_ms = models.PositiveIntegerField(null=True)
    version = models.CharField(max_length=50, blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")
    failures = models.PositiveIntegerField(default=0, help_text="Polls in a row without a readable answer.")
    broker_suspect_since = models.DateTimeField(
        null=True, help_text="Since when all its bots are silent together, as with a lost message broker."
    )

    class Meta:
        db_table = "hummingbot_state"
        verbose_name_plural = "hummingbot state"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="hummingbot_state_one_row")]

    def __str__(self) -> str:
        return "Hummingbot"


class HummingbotCredential(models.Model):
    """Which version of a connector's credentials Hummingbot has, or refused. Holds no secret."""

    connector = models.OneToOneField(
        Connector, on_delete=models.CASCADE, primary_key=True, related_name="hummingbot_credential"
    )
    client_id = models.UUIDField()
    account_name = models.CharField(max_length=100, help_text="The client's account in Hummingbot.")
    synced_version = models.PositiveIntegerField(default=0)
    synced_at = models.DateTimeField(null=True)
    refused_version = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        db_table = "hummingbot_credentials"

    def __str__(self) -> str:
        return self.account_name


class BotsSettings(models.Model):
    """What an operator may change about bots while everything runs: one row; empty means the environment's default."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    hummingbot_poll_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(3600)],
        help_text="How often Hummingbot is asked what runs. Empty: HUMMINGBOT_POLL_SECONDS.",
    )

    class Meta:
        db_table = "bots_settings"
        verbose_name = verbose_name_plural = "bots settings"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="bots_settings_one_row"),
            models.CheckConstraint(
                condition=Q(hummingbot_poll_seconds=None)
                | Q(hummingbot_poll_seconds__gte=1, hummingbot_poll_seconds__lte=3600),
                name="bots_settings_poll_seconds_bounded",
            ),
        ]

    def __str__(self) -> str:
        return "bots settings"
