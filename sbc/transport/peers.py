"""Who may speak to us: source ranges and certificate rules of trunks, never SIP text."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from certs import CertificateFacts, covers

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class PeerRule:
    """How a trunk's peer is known."""

    trunk: str
    listeners: frozenset[str]
    """Names of the listeners it may arrive at."""
    sources: tuple[Network, ...]
    require_certificate: bool = False
    accepted_sans: tuple[str, ...] = ()
    """Names of which its certificate must carry one; empty takes any certificate that the CA signed."""
    ca_file: Path | None = None
    """Authorities it is trusted by; ``None`` the system's."""
    accept_server_auth_only: bool = False
    """Whether a client certificate made for servers only will do."""

    def takes(self, facts: CertificateFacts | None) -> str | None:
        """Judge a verified certificate; returns ``None`` when it fits, else a sentence why not."""
        if not self.require_certificate:
            return None
        if facts is None:
            return f"trunk {self.trunk} demands a certificate and none was shown"
        if self.accepted_sans and not covers(facts.names, self.accepted_sans):
            shown = ", ".join(facts.names[:5]) or "no name"
            return (
                f"the certificate is for {shown}, trunk {self.trunk} accepts {', '.join(self.accepted_sans)}"
            )
        return None


class PeerTable:
    """All rules, by listener."""

    def __init__(self, rules: Iterable[PeerRule]) -> None:
        self._rules = tuple(rules)
        self._memo: dict[tuple[str, str], tuple[PeerRule, ...]] = {}

    def candidates(self, listener: str, source: str) -> tuple[PeerRule, ...]:
        """Return the rules that a source address may fall under at a listener; certificate-bound ones first."""
        key = (listener, source)
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) > 10_000:
                self._memo.clear()
            found = self._memo[key] = self._find(listener, source)
        return found

    def _find(self, listener: str, source: str) -> tuple[PeerRule, ...]:
        try:
            address = ipaddress.ip_address(source)
        except ValueError:
            return ()
        fitting = [
            rule
            for rule in self._rules
            if listener in rule.listeners
            and any(address in net for net in rule.sources if net.version == address.version)
        ]
        return tuple(sorted(fitting, key=lambda rule: not rule.require_certificate))


def choose(rules: Sequence[PeerRule], facts: CertificateFacts | None) -> tuple[PeerRule | None, str]:
    """Return the first rule that takes the certificate, or ``None`` and why the last one does not."""
    why = "no trunk for this source"
    for rule in rules:
        fault = rule.takes(facts)
        if fault is None:
            return rule, ""
        why = fault
    return None, why
