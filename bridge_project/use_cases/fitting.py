"""Does a backup fit this installation? Every refusal says what to do about it."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db.backends.utils import CursorWrapper

from bridge_project.use_cases.backup import applied_migrations
from bridge_project.use_cases.backup_file import Manifest
from bridge_project.use_cases.sealed import missing_keys
from bridge_project.use_cases.tables import tables_to_keep
from clients.models import Client
from ground.errors import Conflict


class DoesNotFit(Conflict):
    """The backup is whole, but cannot be restored into this installation as it is."""

    code = "backup_does_not_fit"


def check_fit(cursor: CursorWrapper, manifest: Manifest, *, forget_credentials: bool) -> None:
    """Raises DoesNotFit."""
    _check_tables(cursor, manifest)
    if manifest.client is None:
        _check_fresh()
    else:
        _check_absent(manifest.client)
    missing = missing_keys(manifest.credentials)
    if missing and not forget_credentials:
        raise DoesNotFit(
            f"BRIDGE_ENCRYPTION_KEYS does not hold the key for {missing} of the stored credentials in this backup. "
            "Add the key of the installation it was made in behind the present one (new,old), restore, and run "
            "bin/manage rotate_encryption_key. If that key is lost, --forget-credentials restores all but these."
        )


def client_of(manifest: Manifest) -> UUID | None:
    """Whose rows the backup holds; None: everybody's."""
    return UUID(manifest.client["id"]) if manifest.client else None


def _check_tables(cursor: CursorWrapper, manifest: Manifest) -> None:
    here, there = set(applied_migrations(cursor)), set(manifest.migrations)
    if here != there:
        only_here, only_there = sorted(here - there), sorted(there - here)
        lines = [f"only here: {', '.join(only_here)}"] * bool(only_here)
        lines += [f"only in the backup: {', '.join(only_there)}"] * bool(only_there)
        raise DoesNotFit(
            f"The backup was made by version {manifest.app_version} with other tables than this version "
            f"{settings.VERSION} has ({'; '.join(lines)}). Install the version that made it, restore there, then update."
        )
    tables = tables_to_keep(cursor)
    expected = {name: t.stored(numbered=manifest.client is None) for name, t in tables.items()}
    if manifest.client:
        expected = {name: columns for name, columns in expected.items() if tables[name].client_column}
    if {member.table: sorted(member.columns) for member in manifest.tables} != {
        name: sorted(columns) for name, columns in expected.items()
    }:
        raise DoesNotFit("The backup's tables have other columns than those of this installation.")


def _check_fresh() -> None:
    count = Client.objects.count()
    if count:
        raise DoesNotFit(
            f"This installation has {count} clients. A whole backup goes only into a fresh one: set BRIDGE_HOME to a new "
            "folder (or DATABASE_URL to an empty database) and run bin/manage prepare_start --no-first-run there first."
        )


def _check_absent(client: dict[str, str]) -> None:
    account = client["account_identifier"]
    if Client.objects.filter(id=client["id"]).exists():
        raise DoesNotFit(
            f"The client {account} is here already (perhaps deleted: its rows stay). Rows that are there are never "
            "overwritten; restore it into another installation."
        )
    if Client.objects.filter(account_identifier=account, retired_at=None).exists():
        raise DoesNotFit(f"Another client has the account_identifier {account} here. Rename that one first.")
