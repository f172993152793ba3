"""Names to addresses: static entries, the hosts file, then DNS with its TTLs (RFC 3263 for targets that ask for SRV).

A warm answer costs a dictionary look-up. An answer that has run out is used once more while DNS does not answer: an old address
reaches more hubs than none. Failures are remembered for a short while, so that a broken name does not hold every call up.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

from sbc.transport.errors import DnsError
from sbc.transport.flow import Address

NEGATIVE_TTL_S = 5.0
_SERVICES = {
    "UDP": ("_sip._udp", "SIP+D2U"),
    "TCP": ("_sip._tcp", "SIP+D2T"),
    "TLS": ("_sips._tcp", "SIPS+D2T"),
}


@dataclass(slots=True)
class _Entry:
    addresses: tuple[str, ...]
    until: float
    fault: str = ""


class Resolver:
    """Resolves host names; one per node."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        static: Mapping[str, tuple[str, ...]] | None = None,
        nameservers: tuple[str, ...] = (),
        min_ttl_s: float = 5.0,
        max_ttl_s: float = 3600.0,
        timeout_s: float = 3.0,
        hosts_file: Path = Path("/etc/hosts"),
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock
        self._static = {name.lower(): tuple(addresses) for name, addresses in (static or {}).items()}
        self._nameservers = nameservers
        self._min_ttl_s, self._max_ttl_s, self._timeout_s = min_ttl_s, max_ttl_s, timeout_s
        self._hosts = _read_hosts(hosts_file)
        self._rng = rng or random.Random()
        self._cache: dict[str, _Entry] = {}
        self._resolver: dns.asyncresolver.Resolver | None = None

    def known(self, host: str) -> tuple[str, ...] | None:
        """Return the addresses of a host when that needs no waiting; ``None`` otherwise."""
        name = host.lower().rstrip(".")
        if _is_ip(name):
            return (name,)
        fixed = self._static.get(name) or self._hosts.get(name)
        if fixed:
            return fixed
        entry = self._cache.get(name)
        return (
            entry.addresses if entry is not None and entry.addresses and self._clock() < entry.until else None
        )

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a host (A before AAAA); raises DnsError with a sentence."""
        found = self.known(host)
        if found is not None:
            return found
        name = host.lower().rstrip(".")
        entry = self._cache.get(name)
        if entry is not None and entry.fault and self._clock() < entry.until:
            raise DnsError(entry.fault)
        addresses: list[str] = []
        ttl, fault = self._max_ttl_s, f"{host}: no A or AAAA record"
        for kind in ("A", "AAAA"):
            try:
                answer = await self._ask(name, kind)
            except dns.resolver.NXDOMAIN:
                fault = f"{host}: the name does not exist"
                break
            except dns.resolver.NoAnswer:
                continue
            except (dns.exception.DNSException, OSError) as error:
                fault = f"{host}: the name servers do not answer ({type(error).__name__})"
                continue
            addresses += [record.address for record in answer]
            ttl = min(ttl, float(answer.rrset.ttl if answer.rrset is not None else 0))
        if addresses:
            self._cache[name] = _Entry(tuple(addresses), self._clock() + max(self._min_ttl_s, ttl))
            return tuple(addresses)
        if entry is not None and entry.addresses:
            entry.until = self._clock() + self._min_ttl_s
            return entry.addresses
        self._cache[name] = _Entry((), self._clock() + NEGATIVE_TTL_S, fault)
        raise DnsError(fault)

    async def services(self, domain: str, transport: str) -> list[Address]:
        """Return host names and ports of a domain's SIP service in the order to try them (RFC 3263 §4.2, RFC 2782).

        NAPTR may name the SRV owner; without any SRV record the domain itself is the host, at the default port.
        """
        prefix, naptr_service = _SERVICES[transport]
        owner = f"{prefix}.{domain}"
        try:
            naptr = await self._ask(domain, "NAPTR")
            rules = sorted(naptr, key=lambda record: (record.order, record.preference))
            for record in rules:
                if record.service.decode().upper() == naptr_service and record.flags.decode().lower() == "s":
                    owner = str(record.replacement).rstrip(".")
                    break
        except (dns.exception.DNSException, OSError):
            pass  # no NAPTR is the ordinary case: SRV is asked by its usual name
        try:
            records = list(await self._ask(owner, "SRV"))
        except (dns.exception.DNSException, OSError):
            return [(domain, 5061 if transport == "TLS" else 5060)]
        return [(str(record.target).rstrip("."), record.port) for record in self._weighted(records)]

    def _weighted(self, records: list[Any]) -> list[Any]:  # dnspython does not type its records
        ordered: list[Any] = []
        for priority in sorted({record.priority for record in records}):
            left = [record for record in records if record.priority == priority]
            while left:
                weights = [record.weight or 0.1 for record in left]
                chosen = self._rng.choices(left, weights)[0]
                left.remove(chosen)
                ordered.append(chosen)
        return ordered

    async def _ask(self, name: str, kind: str) -> dns.resolver.Answer:
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
            if self._nameservers:
                self._resolver.nameservers = list(self._nameservers)
            self._resolver.lifetime = self._timeout_s
        return await self._resolver.resolve(name, kind)


def _read_hosts(path: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return found
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split()[:20] or [""]
        if address and _is_ip(address):
            for name in names:
                found[name.lower()] = (*found.get(name.lower(), ()), address)
    return found


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
