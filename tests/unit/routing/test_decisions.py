"""Every INVITE gets a route, or a refusal that says why."""

from dataclasses import dataclass

import pytest

from sbc.routing import Policy, Refusal, Route, Router, TrunkView
from sbc.routing.numbers import is_e164, to_e164
from sbc.sip.uri import Uri


@dataclass
class Someone:
    person_id: str
    name: str
    number: str | None


ADA = Someone("p1", "Ada", "+14255550101")
SHARED = Someone("p4", "Shared", "+14255550100;ext=7")
PEOPLE = {
    "ada@contoso.example": ADA,
    "nora@contoso.example": Someone("p2", "Nora", None),
    "otto@contoso.example": Someone("p3", "Otto", "555-01"),
    "shared@contoso.example": SHARED,
}


class People:
    def by_number(self, tenant, number):
        return next((one for one in PEOPLE.values() if one.number == number), None)

    def by_address(self, tenant, address):
        return PEOPLE.get(address.lower())

    def by_extension(self, tenant, extension):
        return ADA if extension == "2101" else None

    def by_id(self, tenant, person_id):
        return ADA if person_id == "p1" else None


def router(**changes) -> Router:
    policy = {
        "tenant": "contoso",
        "region": "US",
        "routing_enabled": True,
        "emergency_numbers": ("911",),
        "teams_trunk": "teams",
        "talkdesk_trunks": (TrunkView("desk", ("+1425",)), TrunkView("other", ("+14255559",))),
        **changes,
    }
    return Router({"contoso": Policy(**policy)}, People())


SOURCE = TrunkView("desk", allow_unlisted=("+4930",), denied=("+14255550101",))
FREE = TrunkView("desk", allow_unlisted=("+4930",))


@pytest.mark.parametrize(
    "uri",
    [
        "sip:+14255550101@sbc",
        "sip:4255550101@sbc",
        "sip:(425)%20555-0101@sbc",
        "sip:1-425-555-0101@sbc;user=phone",
        "tel:+1-425-555-0101",
        "sip:ada%40contoso.example@sbc",
        "sip:ADA@Contoso.Example",
        "sip:2101@sbc",
        "sip:p1@sbc",
    ],
)
def test_ada_is_found_by_every_form_of_target(uri: str) -> None:
    route = router().towards_teams("contoso", Uri.parse(uri), FREE)
    assert isinstance(route, Route), route
    assert (route.trunk, route.number) == ("teams", "+14255550101")


@pytest.mark.parametrize(
    ("uri", "status", "code"),
    [
        ("sip:nobody%40contoso.example@sbc", 404, "unknown_target"),
        ("sip:9999@sbc", 404, "unknown_target"),
        ("sip:+14255550177@sbc", 404, "unknown_target"),
        ("sip:sbc", 404, "unknown_target"),
        ("sip:nora%40contoso.example@sbc", 480, "no_business_phone"),
        ("sip:otto%40contoso.example@sbc", 484, "not_e164"),
    ],
)
def test_refusals_carry_status_word_and_sentence(uri: str, status: int, code: str) -> None:
    refusal = router().towards_teams("contoso", Uri.parse(uri), FREE)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (status, code)
    assert len(refusal.detail.split()) > 3


def test_a_tenant_that_is_switched_off_refuses_all_but_emergencies() -> None:
    off = router(routing_enabled=False)
    refusal = off.towards_teams("contoso", Uri.parse("sip:2101@sbc"), FREE)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (403, "routing_disabled")
    emergency = off.towards_teams("contoso", Uri.parse("sip:911@sbc"), SOURCE)
    assert isinstance(emergency, Route)
    assert emergency.emergency


def test_a_barred_destination_is_403_even_for_somebody_listed() -> None:
    refusal = router().towards_teams("contoso", Uri.parse("sip:2101@sbc"), SOURCE)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (403, "destination_barred")


def test_unlisted_numbers_pass_only_where_they_are_allowed() -> None:
    assert isinstance(router().towards_teams("contoso", Uri.parse("sip:+49301234567@sbc"), FREE), Route)
    assert isinstance(router().towards_teams("contoso", Uri.parse("sip:+33123456789@sbc"), FREE), Refusal)


def test_a_shared_number_keeps_its_extension_and_voicemail_is_kept() -> None:
    route = router().towards_teams("contoso", Uri.parse("sip:shared%40contoso.example@sbc"), FREE)
    assert isinstance(route, Route)
    assert (route.number, route.parameters) == ("+14255550100", ";ext=7")
    route = router().towards_teams("contoso", Uri.parse("sip:2101@sbc;opaque=app:voicemail"), FREE)
    assert isinstance(route, Route)
    assert route.parameters == ";opaque=app:voicemail"


def test_teams_reaches_the_trunk_with_the_longest_prefix() -> None:
    for number, trunk in (("+14255550190", "desk"), ("+14255559000", "other")):
        route = router().towards_talkdesk("contoso", Uri.parse(f"sip:{number}@sbc"), TrunkView("teams"))
        assert isinstance(route, Route)
        assert route.trunk == trunk
    assert isinstance(
        router().towards_talkdesk("contoso", Uri.parse("sip:+4930@sbc"), TrunkView("teams")), Refusal
    )


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+14255550101", "US", "+14255550101"),
        ("425 555 0101", "US", "+14255550101"),
        ("030 1234567", "DE", "+49301234567"),
        ("0049 30 1234567", "DE", "+49301234567"),
        ("911", "US", None),
        ("2101", "US", None),
        ("+0123", "US", None),
        ("abc", "US", None),
        ("", "US", None),
    ],
)
def test_numbers(text: str, region: str, number: str | None) -> None:
    assert to_e164(text, region) == number


def test_e164_is_strict() -> None:
    assert is_e164("+14255550101")
    for text in ("14255550101", "+04255550101", "+1425555010112345", "+1 425", "+١٤٢٥", ""):
        assert not is_e164(text)
