"""Addresses of channels: what each kind accepts, and what of it may be shown. Most hold a secret in their path or user part."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LONGEST = 2000
MOST_MAIL_ADDRESSES = 20
# Services of apprise that act on the machine they run on instead of sending anything to anybody.
_LOCAL = {"dbus", "qt", "glib", "kde", "gnome", "macosx", "windows", "syslog"}
_SCHEMA = re.compile(r"[a-z][a-z0-9+.-]{0,31}\Z")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAIL = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*\Z")


def check_webhook(address: str) -> tuple[str, str]:
    """(the address as it is stored, what may be shown of it). Raises ValueError with a sentence."""
    clean = _clean(address)
    try:
        parts = urlsplit(clean)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("This is no web address.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("A webhook's address begins with https:// (or http://) and names a host.")
    if parts.username is not None or parts.password is not None:
        raise ValueError("Put no user or password into a webhook's address: the signature proves who sent it.")
    if parts.fragment:
        raise ValueError("A part after # never reaches the other side; leave it away.")
    shown = f"[{host}]" if ":" in host else host
    return clean, f"{parts.scheme}://{shown}{f':{port}' if port else ''}/…"


def check_mail(address: str) -> tuple[str, str]:
    """Mail addresses separated by commas, each once: (as stored, what may be shown). Raises ValueError with a sentence."""
    if len(address) > LONGEST:
        raise ValueError(f"An address has at most {LONGEST} characters.")
    given = list(dict.fromkeys(part.strip() for part in address.split(",") if part.strip()))
    if not given:
        raise ValueError("Give at least one mail address.")
    if len(given) > MOST_MAIL_ADDRESSES:
        raise ValueError(f"A channel takes at most {MOST_MAIL_ADDRESSES} mail addresses.")
    for one in given:
        if not _MAIL.match(one):
            raise ValueError(f"Address {given.index(one) + 1} is no mail address.")
    user, _, domain = given[0].rpartition("@")
    more = f" and {len(given) - 1} more" if len(given) > 1 else ""
    return ", ".join(given), f"{user[0]}…@{domain}{more}"[:200]


def check_apprise(address: str) -> tuple[str, str]:
    """One apprise URL, as far as that can be told without apprise: (as stored, what may be shown). Raises ValueError."""
    clean = _clean(address)
    schema, sign, rest = clean.partition("://")
    schema = schema.lower()
    if not sign or not rest or not _SCHEMA.match(schema):
        raise ValueError("An apprise address looks like tgram://token/chat or ntfys://host/topic.")
    if schema in _LOCAL:
        raise ValueError(f"{schema}:// shows its messages on the machine of the worker, where nobody sees them.")
    if schema in ("http", "https"):  # the services' own addresses, which apprise knows too
        return clean, f"{schema}://{urlsplit(clean).hostname or ''}/…"[:200]
    return clean, f"{schema}://…"


def _clean(address: str) -> str:
    clean = address.strip()
    if not clean:
        raise ValueError("Give an address.")
    if len(clean) > LONGEST:
        raise ValueError(f"An address has at most {LONGEST} characters.")
    if any(character.isspace() or not character.isprintable() for character in clean):
        raise ValueError("An address holds no spaces and no control characters; a channel has one address.")
    return clean
