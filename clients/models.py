"""Tables: clients, their wallets, connectors and API keys; the audit; idempotent answers; facts of the installation."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from clients.rules.words import ClientStatus, KeyKind, KeyScope
from ground.encrypted import EncryptedTextField
from ground.fields import ExactJSONField


def one_of(column: str, words: Any, name: str) -> models.CheckConstraint:
    """A CHECK that the column holds one of the words of a StrEnum."""
    return models.CheckConstraint(condition=Q(**{f"{column}__in": [str(word) for word in words]}), name=name)


class Client(models.Model):
    """Somebody whose bots trade. Retired clients stay as rows (ledger and audit point at them) and are shown nowhere."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    account_identifier = models.CharField(max_length=63)
    email = models.CharField(max_length=254, blank=True, default="")
    status = models.CharField(max_length=16, default=ClientStatus.ACTIVE, choices=[(s, s) for s in ClientStatus])
    tier = models.CharField(max_length=50, blank=True, default="standard")
    management_mode = models.CharField(max_length=50, blank=True, default="managed")
    settings = ExactJSONField(default=dict, blank=True)
    source = models.CharField(max_length=50, blank=True, default="", help_text="The old system this row came from.")
    source_id = models.CharField(max_length=200, blank=True, default="")
    deletion_requested_at = models.DateTimeField(null=True, blank=True)
    deletion_requested_by = models.CharField(max_length=200, blank=True, default="")
    retired_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "clients"
        ordering = ["created_at", "id"]
        constraints = [
            one_of("status", ClientStatus, "clients_status_known"),
            models.CheckConstraint(
                condition=Q(account_identifier__regex=r"^[a-z0-9_]{3,63}$"), name="clients_account_identifier_form"
            ),
            models.UniqueConstraint(
                fields=["account_identifier"], condition=Q(retired_at=None), name="clients_account_identifier_key"
            ),
            models.UniqueConstraint(
                fields=["source", "source_id"], condition=~Q(source_id=""), name="clients_source_id_key"
            ),
        ]
        indexes = [models.Index(fields=["created_at", "id"], condition=Q(retired_at=None), name="clients_page")]

    def __str__(self) -> str:
        return f"{self.name} ({self.account_identifier})"


class Wallet(models.Model):
    """An address that belongs to one client. ``address_key`` is what look-ups compare: lower case for EVM chains."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="wallets", db_index=False)
    chain = models.CharField(max_length=32)
    address = models.CharField(max_length=128)
    address_key = models.CharField(max_length=128, unique=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "wallets"
        ordering = ["created_at", "id"]
        indexes = [models.Index(fields=["client", "created_at", "id"], name="wallets_of_client")]

    def __str__(self) -> str:
        return f"{self.chain} {self.address}"


class Connector(models.Model):
    """A client's account on one exchange. The three credential columns hold ciphertext and are write-only everywhere."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="connectors", db_index=False)
    name = models.CharField(max_length=64, help_text="Hummingbot's or ccxt's name of the exchange, as it was given.")
    label = models.CharField(max_length=64, blank=True, default="")
    api_key = EncryptedTextField(null=True, blank=True, editable=False)
    api_secret = EncryptedTextField(null=True, blank=True, editable=False)
    passphrase = EncryptedTextField(null=True, blank=True, editable=False)
    key_hint = models.CharField(max_length=16, blank=True, default="", editable=False)
    credentials_version = models.PositiveIntegerField(default=0, editable=False)
    credentials_updated_at = models.DateTimeField(null=True, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "connectors"
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name", "label"], condition=Q(retired_at=None), name="connectors_name_label_key"
            ),
            models.UniqueConstraint(fields=["client", "id"], name="connectors_client_id_key"),
            models.CheckConstraint(
                condition=Q(api_key=None, api_secret=None, passphrase=None)
                | Q(api_key__isnull=False, api_secret__isnull=False),
                name="connectors_credentials_whole",
            ),
            models.CheckConstraint(
                condition=Q(retired_at=None) | Q(api_key=None, api_secret=None, passphrase=None),
                name="connectors_retired_hold_no_secret",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.label}".strip()


class ApiKey(models.Model):
    """A bearer token: only its prefix and the SHA-256 of the whole are kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    kind = models.CharField(max_length=16, choices=[(k, k) for k in KeyKind])
    scope = models.CharField(max_length=16, choices=[(s, s) for s in KeyScope])
    name = models.CharField(max_length=100, blank=True, default="")
    client = models.ForeignKey(Client, on_delete=models.PROTECT, null=True, blank=True, related_name="api_keys")
    bot_id = models.UUIDField(null=True, blank=True, help_text="The only bot that a ping key may speak for.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    created_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "api_keys"
        ordering = ["-created_at"]
        constraints = [
            one_of("kind", KeyKind, "api_keys_kind_known"),
            one_of("scope", KeyScope, "api_keys_scope_known"),
            models.CheckConstraint(
                condition=Q(kind="operator", client=None, bot_id=None, scope__in=["read", "manage"])
                | Q(kind="client", client__isnull=False, bot_id=None, scope__in=["read", "manage"])
                | Q(kind="bot", client__isnull=False, bot_id__isnull=False, scope="ping"),
                name="api_keys_owner_fits_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.kind}, {self.scope})"


class AuditEntry(models.Model):
    """One change of one row, written by a database trigger; append-only. Secrets are never part of it."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now())
    table_name = models.CharField(max_length=63)
    row_id = models.CharField(max_length=64)
    client_id = models.UUIDField(null=True)
    action = models.CharField(max_length=6)
    actor = models.CharField(max_length=200)
    reason = models.TextField(blank=True, default="")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        db_table = "audit_log"
        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        constraints = [
            models.CheckConstraint(
                condition=Q(action__in=["INSERT", "UPDATE", "DELETE"]), name="audit_log_action_known"
            )
        ]
        indexes = [
            models.Index(fields=["table_name", "row_id", "-id"], name="audit_log_of_row"),
            models.Index(fields=["client_id", "-id"], name="audit_log_of_client"),
        ]

    def __str__(self) -> str:
        return f"{self.action.lower()} {self.table_name} {self.row_id}"


class IdempotentAnswer(models.Model):
    """The first answer to a request that carried an Idempotency-Key; kept for a day."""

    id = models.BigAutoField(primary_key=True)
    actor = models.CharField(max_length=200)
    key = models.CharField(max_length=200)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, null=True)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "idempotent_answers"
        constraints = [models.UniqueConstraint(fields=["actor", "key"], name="idempotent_answers_key")]
        indexes = [models.Index(fields=["created_at"], name="idempotent_answers_age")]

    def __str__(self) -> str:
        return f"{self.actor} {self.key}"


class Installation(models.Model):
    """Facts about this installation: one row. Guards a redeploy against running with other encryption keys."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    encryption_fingerprint = models.CharField(max_length=16)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "installation"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="installation_one_row")]

    def __str__(self) -> str:
        return "this installation"
