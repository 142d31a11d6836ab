"""Where a provider may live. A client's must be public and encrypted: nobody reaches into our network with an address."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from arena.rules.statuses import ProviderKind

LONGEST = 500
PUBLISHED = {
    ProviderKind.OPENAI: "https://api.openai.com/v1",
    ProviderKind.ANTHROPIC: "https://api.anthropic.com",
    ProviderKind.GOOGLE: "https://generativelanguage.googleapis.com",
}
_INNER = (".local", ".localhost", ".internal", ".intranet", ".lan", ".home", ".corp", ".arpa")


def check_base_url(address: str, *, is_trusted: bool) -> str:
    """The address as it is stored. Raises ValueError with a sentence that repeats none of it."""
    clean = address.strip().rstrip("/")
    if not clean:
        raise ValueError("Give the address of the provider's API.")
    if len(clean) > LONGEST or any(sign.isspace() or not sign.isprintable() for sign in clean):
        raise ValueError(f"An address has at most {LONGEST} characters, no spaces and no control characters.")
    try:
        parts = urlsplit(clean)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("This is no web address.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("The address begins with https:// and names a host.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment or "?" in clean:
        raise ValueError(
            "Put no user, password, query or part after # into the address: the key has a field of its own."
        )
    if not is_trusted:
        _check_public(parts.scheme, host)
    return clean


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet at large, also behind the ways to write IPv4 within IPv6."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or _nat64(ip)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in ipaddress.ip_network("64:ff9b::/96") else None


def _check_public(scheme: str, host: str) -> None:
    if scheme != "https":
        raise ValueError("A client's provider is reached over https:// only.")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        if not is_public(host):
            raise ValueError("A client's provider must be on the public internet; this address is a private one.")
        return
    name = host.rstrip(".").lower()
    if "." not in name or name.endswith(_INNER) or name.rpartition(".")[2].isdigit():
        raise ValueError("A client's provider must be on the public internet; this host is a name of inner networks.")
