"""Is this database ours, are these its keys, and does it have an operator yet?"""

from __future__ import annotations

import json
import os
import secrets
import string
import tempfile
from pathlib import Path

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.db import connection, transaction

from clients.models import ApiKey, Installation
from clients.rules.words import KeyKind, KeyScope
from clients.services.keys import create_api_key
from ground.encrypted import fingerprints
from ground.scope import system_scope


class WrongDatabase(CommandError):
    """The database belongs to something else, or to an installation with other keys."""


def foreign_tables() -> list[str]:
    """Tables that carry our names in a database that our migrations never touched."""
    present = set(connection.introspection.table_names())
    if "django_migrations" in present:
        with connection.cursor() as cursor:
            cursor.execute("SELECT DISTINCT app FROM django_migrations")
            migrated = {row[0] for row in cursor.fetchall()}
    else:
        migrated = set()
    ours = {
        model._meta.db_table
        for config in apps.get_app_configs()
        if config.label not in migrated and config.label != "bridge_project"
        for model in config.get_models(include_auto_created=True)
    }
    return sorted(present & ours)


def refuse_foreign_tables() -> None:
    """Raises WrongDatabase when the database holds tables of our names that our migrations did not make."""
    found = foreign_tables()
    if found:
        raise WrongDatabase(
            f"The database already holds tables that are not ours ({', '.join(found)}). Give Trading Bridge an empty "
            "database, or move those tables to another schema."
        )


def check_encryption_keys() -> None:
    """Remember the newest key's fingerprint, or hold ours against the one remembered. Raises WrongDatabase."""
    known = fingerprints()
    with transaction.atomic():
        row, made = Installation.objects.select_for_update().get_or_create(
            id=1, defaults={"encryption_fingerprint": known[0]}
        )
        if not made and row.encryption_fingerprint not in known:
            raise WrongDatabase(
                "BRIDGE_ENCRYPTION_KEYS does not hold the key that this database's credentials were encrypted with. "
                "Add the old key behind the new one (new,old), start, and run bin/manage rotate_encryption_key."
            )


def make_first_operator(*, url: str, path: Path) -> dict[str, str] | None:
    """On a database without an operator: make one with a password and an API key, and keep them in ``path`` (0600).

    Returns ``{url, username, password, api_key}``, or None where there is an operator already.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('bridge first run'))")
        users = get_user_model()
        if users.objects.filter(is_staff=True).exists() or ApiKey.objects.filter(kind=KeyKind.OPERATOR).exists():
            return None
        password = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(20))
        users.objects.create_superuser("operator", password=password)
        made = {"url": url, "username": "operator", "password": password}
    made["api_key"] = create_api_key(
        scope=system_scope("first-run"), kind=KeyKind.OPERATOR, key_scope=KeyScope.MANAGE, name="first run"
    )
    _write(path, made)
    return made


def remembered_credentials(path: Path, *, url: str) -> bool:
    """Whether the credentials of the first run are still kept; brings their address up to date."""
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    if url and kept.get("url") != url:
        _write(path, kept | {"url": url})
    return True


def _write(path: Path, credentials: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".credentials-")  # 0600 from the start
    with os.fdopen(handle, "w") as file:
        json.dump(credentials, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
