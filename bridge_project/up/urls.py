"""The addresses of database and broker, read the way each library wants them."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

POSTGRES_SCHEMES = ("postgres", "postgresql")
REDIS_SCHEMES = ("redis", "rediss", "redis+socket", "unix")
# What libpq takes from a query string and a provider may put there; anything else is a typing error.
POSTGRES_OPTIONS = {
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslnegotiation", "sslcertmode"),
    *("ssl_min_protocol_version", "channel_binding", "gssencmode", "require_auth", "target_session_attrs"),
    *("connect_timeout", "application_name", "options", "passfile", "service", "tcp_user_timeout"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
}


def database_config(url: str) -> dict[str, Any]:
    """Django's DATABASES entry for a postgres:// or postgresql:// address, unix sockets included.

    A socket folder is written as ``postgresql://user@/name?host=/folder`` (percent-encoded where needed).
    Raises ValueError with a sentence that never holds the password.
    """
    parts = _split(url, POSTGRES_SCHEMES, "postgresql://user:password@host:5432/name")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    user, password, host, port = _authority(parts)
    config = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": query.pop("dbname", unquote(parts.path[1:])),
        "USER": query.pop("user", user),
        "PASSWORD": query.pop("password", password),
        "HOST": query.pop("host", host),
        "PORT": query.pop("port", port),
    }
    if not config["NAME"]:
        raise ValueError("the address names no database (postgresql://user:password@host:5432/name)")
    strange = sorted(set(query) - POSTGRES_OPTIONS)
    if strange:
        raise ValueError(f"the address has an unknown option: {', '.join(strange)}")
    return config | {"OPTIONS": query}


def mail_config(url: str) -> dict[str, Any]:
    """Django's EMAIL_* settings for a mail server's address: smtps:// is encrypted from the first byte, smtp+tls:// turns
    encryption on and refuses to go on without, smtp:// is not encrypted and takes no password.

    Raises ValueError with a sentence that never holds the password.
    """
    ports = {"smtps": 465, "smtp+tls": 587, "smtp": 25}
    parts = _split(url, tuple(ports), "smtp+tls://user:password@host:587")
    user, password, host, port = _authority(parts)
    if not host:
        raise ValueError("the address names no host (smtp+tls://user:password@host:587)")
    if parts.path.strip("/") or parts.query:
        raise ValueError("nothing may follow the host and port (smtp+tls://user:password@host:587)")
    if user and parts.scheme == "smtp":
        raise ValueError("a password needs encryption: write smtp+tls:// or smtps://")
    return {
        "EMAIL_HOST": host,
        "EMAIL_PORT": int(port or ports[parts.scheme]),
        "EMAIL_HOST_USER": user,
        "EMAIL_HOST_PASSWORD": password,
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
    }


def socket_database_url(*, folder: str, user: str, name: str) -> str:
    """The address of a PostgreSQL that listens on a unix socket in this folder."""
    return f"postgresql://{quote(user, safe='')}@/{quote(name, safe='')}?host={quote(folder, safe='/')}"


def socket_redis_url(path: str, *, database: int = 0) -> str:
    """The address of a Redis or Valkey that listens on this unix socket."""
    return f"redis+socket://{quote(path, safe='/')}" + (f"?virtual_host={database}" if database else "")


def broker_url(url: str) -> str:
    """The same server as Celery (kombu) wants to read it. Raises ValueError with a sentence."""
    parts = _redis_parts(url)
    if parts.scheme in ("redis", "rediss"):
        return url
    return socket_redis_url(unquote(parts.path), database=_socket_database(parts))


def redis_client_url(url: str) -> str:
    """The same server as redis-py wants to read it. Raises ValueError with a sentence."""
    parts = _redis_parts(url)
    if parts.scheme in ("redis", "rediss"):
        return url
    return f"unix://{quote(unquote(parts.path), safe='/')}?db={_socket_database(parts)}"


def _redis_parts(url: str) -> SplitResult:
    parts = _split(url, REDIS_SCHEMES, "redis://host:6379/0")
    if parts.scheme in ("redis", "rediss"):
        if not parts.hostname:
            raise ValueError("the address names no host (redis://host:6379/0)")
        _authority(parts)
    elif not parts.path.strip("/"):
        raise ValueError("the address names no socket (redis+socket:///path/to/socket)")
    else:
        _socket_database(parts)
    return parts


def _socket_database(parts: SplitResult) -> int:
    query = dict(parse_qsl(parts.query))
    number = query.get("virtual_host") or query.get("db") or "0"
    if not number.isdecimal():
        raise ValueError("the address's database must be a number")
    return int(number)


def _split(url: str, schemes: tuple[str, ...], example: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise ValueError(f"the address cannot be read; it looks like {example}") from None
    if parts.scheme not in schemes:
        raise ValueError(f"the address must begin with {' or '.join(f'{s}://' for s in schemes)} ({example})")
    return parts


def _authority(parts: SplitResult) -> tuple[str, str, str, str]:
    """User, password, host and port; the host keeps its letter case, since it may be a socket folder (%2Frun)."""
    credentials, _, place = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the address's port must be a number from 0 to 65535") from None
    host = place[: -len(f":{port}")] if port is not None and place.endswith(f":{port}") else place.removesuffix(":")
    return unquote(user), unquote(password), unquote(host.strip("[]")), "" if port is None else str(port)
