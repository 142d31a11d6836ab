"""What every process must find in its environment: data folder, addresses, secrets. Resolved once, before Django."""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from bridge_project.up.processes import Lock, StartRefused, write_atomically
from bridge_project.up.programs import CHECKOUT
from bridge_project.up.servers import EmbeddedServers
from bridge_project.up.urls import broker_url, database_config

SECRET_NAMES = ("DJANGO_SECRET_KEY", "BRIDGE_ENCRYPTION_KEYS")
MAKE_SECRETS = "bin/manage make_secrets"


def home_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """BRIDGE_HOME, or .bridge in the checkout; absolute, with links followed, so that it has one name."""
    return Path(environ.get("BRIDGE_HOME") or CHECKOUT / ".bridge").resolve()


def make_home(home: Path) -> None:
    """Make the folder for our data, for us alone. Raises StartRefused."""
    try:
        for folder in ("run", "static"):
            (home / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = home / "run" / f".{secrets.token_hex(4)}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise StartRefused(
            f"BRIDGE_HOME ({home}) cannot be written by this user ({error.strerror}): "
            "make it yours, or set BRIDGE_HOME to a folder that is."
        ) from None


def prepare(
    home: Path, environ: Mapping[str, str] = os.environ, *, forgetful: bool = False
) -> tuple[dict[str, str], EmbeddedServers]:
    """The variables to add to the environment, and the servers that must run for them (not started yet).

    Raises StartRefused with a sentence that names the variable that is bad or missing.
    """
    make_home(home)
    database, broker = environ.get("DATABASE_URL", ""), environ.get("REDIS_URL", "")
    _check("DATABASE_URL", database, database_config)
    _check("REDIS_URL", broker, broker_url)
    keys = _external_secrets(environ) if database else _own_secrets(home, environ)
    servers = EmbeddedServers(home, database=not database, broker=not broker, forgetful=forgetful)
    return {
        "BRIDGE_HOME": str(home),
        "STORAGE": "external" if database else "embedded",
        "DATABASE_URL": servers.database.url if servers.database else database,
        "REDIS_URL": servers.broker.url if servers.broker else broker,
        **keys,
    }, servers


def make_secrets() -> dict[str, str]:
    """New secrets: Django's key and one Fernet key."""
    return {
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
        "BRIDGE_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }


def _check(name: str, value: str, read: object) -> None:
    if value and callable(read):
        try:
            read(value)
        except ValueError as error:
            raise StartRefused(f"{name} is not usable: {error}.") from None


def _external_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    missing = [name for name in SECRET_NAMES if not environ.get(name)]
    if missing:
        raise StartRefused(
            f"DATABASE_URL is set, so {' and '.join(missing)} must be set too: data that outlives this machine needs "
            f"keys that do.\nMake them once with\n\n    {MAKE_SECRETS}\n\nand keep what it prints with your platform's "
            "secrets. A lost BRIDGE_ENCRYPTION_KEYS loses every stored exchange credential."
        )
    _check_keys(environ["BRIDGE_ENCRYPTION_KEYS"])
    return {name: environ[name] for name in SECRET_NAMES}


def _own_secrets(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Those of BRIDGE_HOME/secrets.json, made on the first start; what the environment sets wins."""
    path = home / "secrets.json"
    lock = Lock(home / "run" / "secrets.lock")
    with lock.held():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            kept = {name: str(kept[name]) for name in SECRET_NAMES}
        except FileNotFoundError:
            if (home / "postgres").exists():
                raise StartRefused(
                    f"{path} is gone but the data it belongs to is there: put it back from your backup, "
                    "or set DJANGO_SECRET_KEY and BRIDGE_ENCRYPTION_KEYS to what they were."
                ) from None
            kept = make_secrets()
            write_atomically(path, json.dumps(kept, indent=2) + "\n")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StartRefused(f"{path} cannot be read ({type(error).__name__}): put it back from a backup.") from None
    chosen = {name: environ.get(name) or kept[name] for name in SECRET_NAMES}
    _check_keys(chosen["BRIDGE_ENCRYPTION_KEYS"])
    return chosen


def _check_keys(text: str) -> None:
    keys = [key.strip() for key in text.split(",") if key.strip()]
    for key in keys or [""]:
        try:
            good = len(base64.b64decode(key, altchars=b"-_", validate=True)) == 32
        except (binascii.Error, ValueError):
            good = False
        if not good:
            raise StartRefused(
                "BRIDGE_ENCRYPTION_KEYS must be Fernet keys (44 characters each), separated by commas, newest first; "
                f"{MAKE_SECRETS} makes one."
            )
