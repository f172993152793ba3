"""The gate that every INVITE passes: Max-Forwards, authentication, routing, limits — in that order, and all at once.

Joins what `routing` and `guard` decide into one answer for the back-to-back user agent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from sbc.b2bua.border import Accepted, Refused
from sbc.guard import Admission
from sbc.routing import Refusal, Route, Router, TrunkView
from sbc.sip.auth import DigestServer
from sbc.sip.message import Request
from sbc.trunks.profile import OutgoingCall
from sbc.trunks.trunk import Trunk

Headers = tuple[tuple[str, str], ...]


class Gate:
    """Decides INVITEs."""

    def __init__(
        self,
        trunks: Mapping[str, Trunk],
        router: Router,
        admission: Admission,
        digests: Mapping[str, DigestServer],
        clock: Callable[[], float],
    ) -> None:
        self._trunks = trunks
        self._router = router
        self._admission = admission
        self._digests = digests
        self._clock = clock
        self._views = {
            name: TrunkView(
                name,
                trunk.settings.numbers,
                trunk.settings.allow_unlisted_numbers,
                trunk.settings.denied_destinations,
            )
            for name, trunk in trunks.items()
        }

    def decide(self, request: Request, trunk: Trunk) -> Accepted | Refused:
        """Decide an INVITE that came from ``trunk``."""
        hops = request.max_forwards
        if hops == 0:
            return Refused(483, "Too Many Hops", "loop", "Max-Forwards is used up")
        if (challenge := self._challenge(request, trunk)) is not None:
            return challenge
        decision = self._route(request, trunk)
        if isinstance(decision, Refusal):
            return Refused(decision.status, decision.phrase, decision.code, decision.detail)
        target = self._trunks[decision.trunk]
        # an emergency call goes even to a target that asked to be left alone
        targets = target.health.candidates() or (target.targets if decision.emergency else ())
        if not targets:
            rest = target.health.rest_s()
            return Refused(
                503,
                "Trunk shedding",
                "trunk_shedding",
                f"every target of trunk {target.name} asked to be left alone",
                (("Retry-After", str(rest)),),
            )
        names = (trunk.name, target.name)
        overload = self._admission.admit(names, self._clock(), emergency=decision.emergency)
        if overload is not None:
            retry = (("Retry-After", str(overload.retry_after_s)),)
            return Refused(503, "Service Unavailable", overload.code, overload.detail, retry)
        call = OutgoingCall(
            number=decision.number,
            caller=trunk.profile.caller(request),
            parameters=decision.parameters,
            max_forwards=69 if hops is None else hops - 1,
            passed=_passed(request, target.settings.pass_headers),
        )
        return Accepted(target, call, targets, functools.partial(self._admission.release, names))

    def _route(self, request: Request, trunk: Trunk) -> Route | Refusal:
        view = self._views[trunk.name]
        if trunk.is_teams:
            return self._router.towards_talkdesk(trunk.tenant, request.uri, view)
        return self._router.towards_teams(trunk.tenant, request.uri, view)

    def _challenge(self, request: Request, trunk: Trunk) -> Refused | None:
        server = self._digests.get(trunk.name)
        if server is None or self._router.is_emergency(trunk.tenant, request.uri):
            return None
        now = self._clock()
        verdict = server.judge(request, now)
        if verdict.username is not None:
            return None
        detail = "the credentials have aged" if verdict.stale else "authentication is required on this trunk"
        return Refused(
            401, "Unauthorized", "unauthorized", detail, server.challenges(now, stale=verdict.stale)
        )


def _passed(request: Request, names: tuple[str, ...]) -> Headers:
    return tuple((name, text) for name in names for text in request.headers.lines(name))
