"""Whether a certificate is for a host (RFC 6125 §6.4, RFC 2818): exact, or a wildcard for exactly one label."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def name_matches(pattern: str, host: str) -> bool:
    """Tell whether one name of a certificate covers ``host``: ``*.example.com`` covers ``a.example.com`` only."""
    pattern, host = pattern.lower().rstrip("."), host.lower().rstrip(".")
    if not pattern or not host:
        return False
    if pattern == host:
        return True
    if not pattern.startswith("*.") or _is_ip(host):
        return False
    label, dot, rest = host.partition(".")
    return bool(label) and bool(dot) and "." in rest and rest == pattern[2:]


def covers(names: Iterable[str], hosts: Iterable[str]) -> bool:
    """Tell whether any of a certificate's names covers any of the hosts."""
    wanted = tuple(hosts)
    return any(name_matches(name, host) for name in names for host in wanted)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
