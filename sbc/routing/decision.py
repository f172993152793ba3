"""The decision for one INVITE: a route, or a refusal that says why.

The table of refusals is the design's: every row has a SIP status, a word for metrics and a sentence for the admin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sbc.routing.numbers import is_e164, matches
from sbc.routing.targets import Dialled, Found, TargetResolver, dialled
from sbc.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class Route:
    """A way for a call."""

    trunk: str
    number: str
    parameters: str = ""
    person: Found | None = None
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason not to make a call."""

    status: int
    phrase: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What a tenant allows."""

    tenant: str
    region: str
    routing_enabled: bool
    emergency_numbers: tuple[str, ...]
    teams_trunk: str | None
    """The trunk that people in Teams are reached through."""
    talkdesk_trunks: tuple[TrunkView, ...]
    """The contact centre's trunks with the numbers that are reached there."""


@dataclass(frozen=True, slots=True)
class TrunkView:
    """What routing needs to know of a trunk."""

    name: str
    numbers: tuple[str, ...] = ()
    allow_unlisted: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


class Router:
    """Decides for all tenants of a node."""

    def __init__(self, policies: Mapping[str, Policy], resolver: TargetResolver) -> None:
        self._policies = policies
        self._resolver = resolver

    def is_emergency(self, tenant: str, uri: Uri) -> bool:
        """Tell whether an emergency number is dialled: such a call passes every limit."""
        text = (uri.user or "").partition(";")[0].removeprefix("+")
        return bool(text) and text in self._policies[tenant].emergency_numbers

    def towards_teams(self, tenant: str, uri: Uri, source: TrunkView) -> Route | Refusal:
        """Decide a call that the contact centre dials."""
        policy = self._policies[tenant]
        if self.is_emergency(tenant, uri):
            return self._emergency(policy, uri, policy.teams_trunk)
        if not policy.routing_enabled:
            return Refusal(
                403, "Routing disabled", "routing_disabled", f"routing is switched off for {tenant}"
            )
        if policy.teams_trunk is None:
            return Refusal(503, "No trunk", "trunk_down", f"tenant {tenant} has no Teams trunk")
        what = dialled(uri, policy.region)
        if not what.text:
            return Refusal(404, "Nobody dialled", "unknown_target", "the Request-URI has no user part")
        person = self._person(tenant, what)
        if person is not None:
            return self._to_person(policy, what, person, source)
        if what.number is not None and matches(what.number, source.allow_unlisted):
            return self._checked(policy.teams_trunk, what.number, what.parameters, None, source)
        return Refusal(404, "Unknown target", "unknown_target", f"no person has {_kind(what)} {_shown(what)}")

    def towards_talkdesk(self, tenant: str, uri: Uri, source: TrunkView) -> Route | Refusal:
        """Decide a call that Teams dials: to the contact centre's trunk with the longest matching prefix."""
        policy = self._policies[tenant]
        if self.is_emergency(tenant, uri):
            first = policy.talkdesk_trunks[0].name if policy.talkdesk_trunks else None
            return self._emergency(policy, uri, first)
        if not policy.routing_enabled:
            return Refusal(
                403, "Routing disabled", "routing_disabled", f"routing is switched off for {tenant}"
            )
        what = dialled(uri, policy.region)
        number = what.number or what.text
        best = _longest_match(number, policy.talkdesk_trunks)
        if best is None:
            return Refusal(
                404, "Unknown target", "unknown_target", f"no trunk takes the number {number or '(none)'}"
            )
        return self._checked(best, number, "", None, source)

    def _person(self, tenant: str, what: Dialled) -> Found | None:
        resolver = self._resolver
        if what.is_short and (person := resolver.by_extension(tenant, what.text)) is not None:
            return person
        if what.number is not None:
            return resolver.by_number(tenant, what.number)
        person = resolver.by_address(tenant, what.text) if "@" in what.text else None
        if person is None and what.address is not None:
            person = resolver.by_address(tenant, what.address)
        return person or resolver.by_extension(tenant, what.text) or resolver.by_id(tenant, what.text)

    def _to_person(self, policy: Policy, what: Dialled, person: Found, source: TrunkView) -> Route | Refusal:
        if not person.number:
            return Refusal(
                480, "No business phone", "no_business_phone", f"{person.name} has no business phone"
            )
        base, _, extension = person.number.partition(";ext=")
        if not is_e164(base):
            return Refusal(
                484,
                "Business phone not E.164",
                "not_e164",
                f"the business phone of {person.name} is not in E.164 form",
            )
        parameters = what.parameters or (f";ext={extension}" if extension else "")
        assert policy.teams_trunk is not None
        return self._checked(policy.teams_trunk, base, parameters, person, source)

    def _checked(
        self, trunk: str, number: str, parameters: str, person: Found | None, source: TrunkView
    ) -> Route | Refusal:
        if matches(number, source.denied):
            return Refusal(
                403,
                "Destination barred",
                "destination_barred",
                f"{number} may not be called from {source.name}",
            )
        return Route(trunk, number, parameters, person)

    def _emergency(self, policy: Policy, uri: Uri, trunk: str | None) -> Route | Refusal:
        if trunk is None:
            return Refusal(
                503, "No trunk", "trunk_down", f"tenant {policy.tenant} has no trunk for an emergency call"
            )
        return Route(trunk, (uri.user or "").partition(";")[0], emergency=True)


def _longest_match(number: str, trunks: Sequence[TrunkView]) -> str | None:
    found = [
        (len(prefix), -i, t.name)
        for i, t in enumerate(trunks)
        for prefix in t.numbers
        if number.startswith(prefix)
    ]
    return max(found)[2] if found and number else None


def _kind(what: Dialled) -> str:
    if what.number is not None:
        return "the number"
    if what.is_short:
        return "the extension"
    return "the address" if what.address else "the name"


def _shown(what: Dialled) -> str:
    return what.number or (what.text if what.is_short or "@" in what.text else what.address or what.text)
