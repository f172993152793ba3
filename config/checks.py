"""Contradictions: settings that are right one by one and wrong together, and files that are not there.

Looks at the disk (do the named files exist and open?), never at the network and never inside a certificate:
that is `trunkline check`.
"""

import ipaddress
import os
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path

from pydantic import BaseModel

from config.base import is_dns_name, is_ip
from config.sections import Listener
from config.settings import Settings
from config.shape import KeyPath
from config.trunks import Trunk

Report = Callable[[KeyPath, str], None]


def check(settings: Settings, report: Report) -> None:
    """Report everything that does not fit together."""
    _check_names(settings, report)
    _check_listeners(settings, report)
    _check_media(settings, report)
    _check_timers(settings, report)
    for index, trunk in enumerate(settings.trunks):
        _check_references(settings, trunk, ("trunks", index), report)
        _check_trunk(settings, trunk, ("trunks", index), report)
        if trunk.kind == "teams":
            _check_teams(settings, trunk, ("trunks", index), report)
    _check_tenants(settings, report)
    _check_overlaps(settings, report)
    _check_files(settings, (), report)


def _check_names(settings: Settings, report: Report) -> None:
    groups: dict[str, Iterable[str]] = {
        "listeners": (item.name for item in settings.listeners),
        "tenants": (item.name for item in settings.tenants),
        "trunks": (item.name for item in settings.trunks),
    }
    for group, names in groups.items():
        _report_repeated(names, (group,), report)
    interfaces = ["default", *(item.name for item in settings.media.interfaces)]
    seen: set[str] = set()
    for index, name in enumerate(interfaces):
        if name in seen:
            report(("media", "interfaces", index - 1, "name"), f"there is already an interface {name!r}")
        seen.add(name)


def _report_repeated(names: Iterable[str], path: KeyPath, report: Report) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            report((*path, index, "name"), f"the name {name!r} is used twice")
        seen.add(name)


def _check_listeners(settings: Settings, report: Report) -> None:
    for index, listener in enumerate(settings.listeners):
        path: KeyPath = ("listeners", index)
        if listener.transport == "tls":
            if listener.certificate is None:
                report(path, "a TLS listener needs a certificate")
            else:
                _report_unknown(listener.certificate, settings.certificates, "certificate", path, report)
        elif listener.certificate is not None:
            report((*path, "certificate"), f"a {listener.transport} listener presents no certificate")
    sockets = [("listeners", index, item) for index, item in enumerate(settings.listeners)]
    for (_, _, one), (_, second, other) in combinations(sockets, 2):
        if _same_socket(one, other):
            report(
                ("listeners", second, "port"), f"port {other.port} is already taken by listener {one.name!r}"
            )
    http = settings.http
    for _, _, item in sockets:
        if (
            item.transport != "udp"
            and item.port == http.port
            and _overlap(item.address, http.address)
            and http.port
        ):
            report(("http", "port"), f"port {http.port} is already taken by listener {item.name!r}")


def _same_socket(one: Listener, other: Listener) -> bool:
    same_kind = (one.transport == "udp") == (other.transport == "udp")
    return same_kind and one.port == other.port != 0 and _overlap(one.address, other.address)


def _overlap(one: str, other: str) -> bool:
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    if first.version != second.version:
        return (
            False  # a dual-stack `::` beside an IPv4 socket depends on the system; the bind itself will tell
        )
    return first == second or first.is_unspecified or second.is_unspecified


def _check_media(settings: Settings, report: Report) -> None:
    media = settings.media
    if media.engine == "rtpengine":
        if not media.ng:
            report(("media", "engine"), "rtpengine needs at least one control address in ng")
        for index, text in enumerate(media.ng):
            host, _, port = text.rpartition(":")
            right = port.isdigit() and 1 <= int(port) <= 65535
            if not right or not (is_ip(host.strip("[]")) or is_dns_name(host)):
                report(("media", "ng", index), f"{text!r} is not an address (write '127.0.0.1:2223')")
        return
    if media.ng:
        report(("media", "ng"), 'is only used with engine = "rtpengine"')
    if media.port_max - media.port_min + 1 < 4:
        report(
            ("media", "port_max"),
            f"{media.port_min}..{media.port_max} leaves no room for a call (four ports)",
        )
    if ipaddress.ip_address(media.advertised).is_unspecified:
        report(
            ("media", "address"), "is missing: peers cannot send media to 0.0.0.0; name the public address"
        )
    for index, item in enumerate(media.interfaces):
        if ipaddress.ip_address(item.advertised).is_unspecified:
            report(
                ("media", "interfaces", index, "address"), "is missing: peers cannot send media to 0.0.0.0"
            )
    for listener in settings.listeners:
        if listener.transport == "udp" and media.port_min <= listener.port <= media.port_max:
            report(
                ("media", "port_min"),
                f"the port range holds port {listener.port} of listener {listener.name!r}",
            )


def _check_timers(settings: Settings, report: Report) -> None:
    timers, dns, limits = settings.timers, settings.dns, settings.limits
    if timers.t2_s < timers.t1_s:
        report(("timers", "t2_s"), f"must not be less than t1_s ({timers.t1_s})")
    if timers.session_expires_s < timers.min_se_s:
        report(("timers", "session_expires_s"), f"must not be less than min_se_s ({timers.min_se_s})")
    if dns.max_ttl_s < dns.min_ttl_s:
        report(("dns", "max_ttl_s"), f"must not be less than min_ttl_s ({dns.min_ttl_s})")
    if limits.header_bytes < limits.line_bytes:
        report(("limits", "header_bytes"), f"must not be less than line_bytes ({limits.line_bytes})")
    if limits.handshakes_per_source > limits.handshakes:
        report(("limits", "handshakes_per_source"), f"is more than handshakes ({limits.handshakes})")
    if limits.connections_per_source > limits.connections:
        report(("limits", "connections_per_source"), f"is more than connections ({limits.connections})")


def _report_unknown(name: str, known: Iterable[str], what: str, path: KeyPath, report: Report) -> bool:
    names = sorted(known)
    if name in names:
        return False
    there = f"there are: {', '.join(names)}" if names else "there is none"
    report((*path, what), f"no {what.removeprefix('media_')} is named {name!r}; {there}")
    return True


def _check_references(settings: Settings, trunk: Trunk, path: KeyPath, report: Report) -> None:
    _report_unknown(trunk.tenant, (item.name for item in settings.tenants), "tenant", path, report)
    listeners = {item.name: item for item in settings.listeners}
    if not _report_unknown(trunk.listener, listeners, "listener", path, report):
        listener = listeners[trunk.listener]
        if listener.transport != trunk.transport and {listener.transport, trunk.transport} & {"tls", "udp"}:
            report(
                (*path, "listener"),
                f"is a {listener.transport} listener, but the transport is {trunk.transport}",
            )
    for name in trunk.accept_on:
        if name not in listeners:
            report(
                (*path, "accept_on"),
                f"no listener is named {name!r}; there are: {', '.join(sorted(listeners))}",
            )
    if trunk.certificate is not None:
        _report_unknown(trunk.certificate, settings.certificates, "certificate", path, report)
    if trunk.media_interface is not None:
        known = ["default", *(item.name for item in settings.media.interfaces)]
        _report_unknown(trunk.media_interface, known, "media_interface", path, report)


def _check_trunk(settings: Settings, trunk: Trunk, path: KeyPath, report: Report) -> None:
    if not trunk.sources:
        report((*path, "sources"), "is empty: nobody could call in; name the peer's address ranges")
    if (trunk.auth_username is None) != (trunk.auth_password is None):
        given, missing = ("auth_username", "auth_password")
        if trunk.auth_username is None:
            given, missing = missing, given
        report((*path, given), f"{missing} is missing beside it")
    if trunk.digest_required and not trunk.digest_users:
        report((*path, "digest_required"), "no digest_users are given: nobody could call in")
    for target in trunk.parsed_targets():
        if target.transport == "tls" and trunk.accepted_sans == () and is_ip(target.host):
            report(
                (*path, "targets"),
                f"{target.host} is an address: say in accepted_sans whose certificate is right",
            )
    if trunk.options_interval_s and not trunk.targets:
        report((*path, "options_interval_s"), "there are no targets to ask")
    on_tls = any(item.transport == "tls" for item in settings.listeners if item.name in trunk.accept_on)
    if trunk.require_client_certificate and not on_tls:
        report((*path, "require_client_certificate"), "the trunk's peers arrive at no TLS listener")


def _check_teams(settings: Settings, trunk: Trunk, path: KeyPath, report: Report) -> None:
    where = (
        (*path, "fqdn")
        if "fqdn" in trunk.model_fields_set and trunk.fqdn != settings.node.fqdn
        else ("node", "fqdn")
    )
    if is_ip(trunk.fqdn):
        report(
            where, f"{trunk.fqdn} is an IP address: Teams answers 403 to it; use the name registered in Teams"
        )
    elif "." not in trunk.fqdn:
        report(where, f"{trunk.fqdn!r} has no domain: Teams needs the full name registered in the tenant")
    elif len(trunk.fqdn) > 63:
        report(where, f"has {len(trunk.fqdn)} characters; Teams takes 63 at most")
    elif trunk.fqdn.endswith(".onmicrosoft.com"):
        report(where, "ends with onmicrosoft.com: Teams does not take such a name for an SBC")
    if trunk.transport != "tls":
        report((*path, "transport"), "Teams is reached over TLS only")
    if trunk.certificate is None:
        report(path, "a Teams trunk needs a certificate to present")
    if not trunk.targets:
        report((*path, "targets"), "is empty: name at least one hub")
    if trunk.reuse_inbound:
        report((*path, "reuse_inbound"), "Teams takes no requests on connections that it opened")
    if trunk.require_client_certificate and not trunk.accepted_sans:
        report(
            (*path, "accepted_sans"),
            "is empty, so every certificate of the authorities would do; name the hub",
        )
    if 0 < trunk.options_interval_s < 1 or trunk.options_interval_s > 180:
        report((*path, "options_interval_s"), "Teams wants OPTIONS every 60 to 180 s")
    by_name = {item.name: item for item in settings.listeners}
    for name in trunk.accept_on:
        if name in by_name and by_name[name].transport != "tls":
            report((*path, "accept_on"), f"{name!r} is no TLS listener")
    if not trunk.accept_on:
        report((*path, "accept_on"), "a Teams trunk needs a TLS listener")


def _check_tenants(settings: Settings, report: Report) -> None:
    for index, tenant in enumerate(settings.tenants):
        if not any(trunk.tenant == tenant.name for trunk in settings.trunks):
            report(("tenants", index), "has no trunk")
        if tenant.directory is not None and tenant.directory.suffix.lower() not in {".csv", ".toml"}:
            report(("tenants", index, "directory"), "must be a .csv or a .toml file")


def _check_overlaps(settings: Settings, report: Report) -> None:
    """Two trunks whose peers could not be told apart by listener, source range and certificate."""
    tls = {item.name for item in settings.listeners if item.transport == "tls"}
    for (_, one), (second, other) in combinations(enumerate(settings.trunks), 2):
        shared = set(one.accept_on) & set(other.accept_on)
        ranges = _shared_ranges(one, other)
        if not ranges or not shared:
            continue
        blurred = sorted(
            name for name in shared if name not in tls or not _told_apart_by_certificate(one, other)
        )
        if blurred:
            report(
                ("trunks", second, "sources"),
                f"{ranges[0]} belongs to trunk {one.name!r} too, on listener {blurred[0]!r}, and nothing "
                "tells the two peers apart; give them different sources, accept_on or accepted_sans",
            )


def _shared_ranges(one: Trunk, other: Trunk) -> list[str]:
    mine = [ipaddress.ip_network(text) for text in one.sources]
    theirs = [ipaddress.ip_network(text) for text in other.sources]
    return [str(b) for a in mine for b in theirs if a.version == b.version and a.overlaps(b)]


def _told_apart_by_certificate(one: Trunk, other: Trunk) -> bool:
    if one.require_client_certificate != other.require_client_certificate:
        return True  # whoever shows the certificate is the one, anybody else is the other
    if not one.require_client_certificate:
        return False
    return one.ca_file != other.ca_file or not {name.lower() for name in one.accepted_sans} & {
        name.lower() for name in other.accepted_sans
    }


def _check_files(section: BaseModel, path: KeyPath, report: Report) -> None:
    for name in type(section).model_fields:
        _check_files_below(getattr(section, name), (*path, name), report)


def _check_files_below(value: object, path: KeyPath, report: Report) -> None:
    if isinstance(value, BaseModel):
        _check_files(value, path, report)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            _check_files_below(item, (*path, index), report)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_files_below(item, (*path, str(key)), report)
    elif isinstance(value, Path):
        if not value.exists():
            report(path, f"{value} does not exist")
        elif not value.is_file():
            report(path, f"{value} is not a file")
        elif not os.access(value, os.R_OK):
            report(path, f"{value} cannot be read by this user")
