"""Calls through the running service, between a simulated agent and the strict simulated hub. Audio is judged by what is heard."""

import asyncio
import os
import signal
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from config import load_settings
from sandbox.caller import Phone
from sandbox.hub import HubCall
from sandbox.run import SBC_ADDRESS, Ports, Sandbox
from sandbox.tenant import AGENT_NUMBER
from sandbox.testcall import place
from sandbox.tones import CALLEE_HZ, Print
from sbc.sip.message import Request

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("sandbox")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), Ports.free())
    try:
        await sandbox.start()
        yield sandbox
    finally:
        await sandbox.stop()
    log = (sandbox.folder / "service.log").read_text()
    assert "Traceback" not in log, log
    assert sandbox.service is not None
    assert sandbox.service.returncode == 0


@pytest_asyncio.fixture(loop_scope="module")
async def phone(world: Sandbox) -> AsyncIterator[Phone]:
    made = Phone(SBC_ADDRESS, "UDP")
    await made.start()
    yield made
    await made.stop()


async def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.01)


def metric(world: Sandbox, name: str) -> float:
    page = urllib.request.urlopen(f"http://{SBC_ADDRESS}:{world.ports.http}/metrics").read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name))


async def answered(world: Sandbox, phone: Phone, target: str):
    flow = await phone.reach(SBC_ADDRESS, world.ports.sip, "")
    call, exchange = await phone.invite(f"sip:{target}@{SBC_ADDRESS}:{world.ports.sip}", flow)
    final = await asyncio.wait_for(exchange.final, 10)
    assert final.status == 200
    phone.accept(call, exchange, final)
    await until(lambda: any(hub.acked.is_set() for hub in world.hub.calls.values()))
    hub_call = next(hub for hub in world.hub.calls.values() if hub.acked.is_set())
    return call, hub_call


def hears_callee(call, hub_call: HubCall) -> bool:
    assert hub_call.person is not None
    return call.media.heard.recognises(Print.choose(CALLEE_HZ, hub_call.person.person_id))


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_call_is_answered_with_audio_both_ways(world: Sandbox, transport: str) -> None:
    settings = load_settings(world.config, os.environ)
    report = await place("ada@contoso.example", settings, transport=transport, seconds=1.2)
    assert report.ok, report
    assert report.audio_to_callee_evidence == "echo"
    assert report.ladder[0].endswith(
        f"INVITE sip:ada%40contoso.example@{SBC_ADDRESS}:" + report.ladder[0].rsplit(":", 1)[1]
    )


@pytest.mark.parametrize(
    ("target", "status", "diagnosis"),
    [
        ("nobody@contoso.example", 404, "unknown_target"),
        ("9999", 404, "unknown_target"),
        ("+14255550199", 404, "unknown_target"),
        ("nora@contoso.example", 480, "no_business_phone"),
        ("otto@contoso.example", 484, "not_e164"),
        ("ben@contoso.example", 486, "refused_486"),
        ("cleo@contoso.example", 603, "refused_603"),
    ],
)
async def test_a_refused_call_says_why(world: Sandbox, target: str, status: int, diagnosis: str) -> None:
    report = await place(target, load_settings(world.config, os.environ), seconds=1)
    assert not report.ok
    assert (report.status, report.diagnosis) == (status, diagnosis)


async def test_busy_is_said_as_cause_17_and_not_as_the_hubs_34(world: Sandbox) -> None:
    report = await place("ben@contoso.example", load_settings(world.config, os.environ), seconds=1)
    assert "cause=17" in report.detail


@pytest.mark.parametrize(
    "target", ["2101", "+14255550101", "4255550101", "%28425%29%20555-0101", "ADA%40Contoso.Example"]
)
async def test_a_person_is_found_by_every_form_of_target(world: Sandbox, phone: Phone, target: str) -> None:
    call, hub_call = await answered(world, phone, target)
    assert str(hub_call.request.uri).startswith("sip:+14255550101@sip.pstnhub.contoso.example:")
    await phone.hang_up(call)
    await until(hub_call.over.is_set)


async def test_what_the_hub_gets_to_see(world: Sandbox, phone: Phone) -> None:
    call, hub_call = await answered(world, phone, "2101")
    invite = hub_call.request
    contact = invite.contact
    assert contact is not None
    assert (contact.uri.host, contact.uri.port) == ("sbc1.contoso.example", world.ports.tls)
    assert invite.from_.uri.user == "+14255550190"
    assert invite.from_.uri.host == "sbc1.contoso.example"
    assert "REFER" not in (invite.headers.first("Allow") or "")
    assert "NOTIFY" in (invite.headers.first("Allow") or "")
    assert invite.headers.first("Record-Route") is None
    assert len(invite.vias) == 1, "topology hiding: the agent's Via stays on our side"
    assert b"127.0.0.1" in invite.body
    assert b"RTP/SAVP" in invite.body
    assert invite.body.count(b"a=crypto:") == 1
    assert b"AES_CM_128_HMAC_SHA1_80" in invite.body
    await phone.hang_up(call)


async def test_early_media_is_heard_before_the_answer(world: Sandbox, phone: Phone) -> None:
    flow = await phone.reach(SBC_ADDRESS, world.ports.sip, "")
    call, exchange = await phone.invite(f"sip:eva%40contoso.example@{SBC_ADDRESS}:{world.ports.sip}", flow)
    await until(lambda: call.media.received > 20)
    assert not exchange.final.done()
    assert any(response.status == 183 and response.body for response in exchange.responses)
    final = await exchange.final
    phone.accept(call, exchange, final)
    await phone.hang_up(call)


async def test_ringing_devices_of_one_user_are_one_ringing_for_the_caller(
    world: Sandbox, phone: Phone
) -> None:
    flow = await phone.reach(SBC_ADDRESS, world.ports.sip, "")
    call, exchange = await phone.invite(f"sip:hana%40contoso.example@{SBC_ADDRESS}:{world.ports.sip}", flow)
    final = await exchange.final
    phone.accept(call, exchange, final)
    ringing = [response for response in exchange.responses if response.status == 180]
    assert len(ringing) == 1
    assert {response.to.tag for response in exchange.responses if response.status > 100} == {final.to.tag}
    await phone.hang_up(call)


async def test_the_caller_gives_up_while_it_rings(world: Sandbox, phone: Phone) -> None:
    flow = await phone.reach(SBC_ADDRESS, world.ports.sip, "")
    call, exchange = await phone.invite(f"sip:dan%40contoso.example@{SBC_ADDRESS}:{world.ports.sip}", flow)
    await until(lambda: any(response.status == 180 for response in exchange.responses))
    hub_call = next(iter(world.hub.calls.values()))
    phone.cancel(exchange)
    assert (await asyncio.wait_for(exchange.final, 5)).status == 487
    await until(lambda: hub_call.cancelled)
    await until(lambda: metric(world, "trunkline_active_calls") == 0)
    call.media.close()


async def test_the_caller_gives_up_at_once(world: Sandbox, phone: Phone) -> None:
    flow = await phone.reach(SBC_ADDRESS, world.ports.sip, "")
    call, exchange = await phone.invite(f"sip:dan%40contoso.example@{SBC_ADDRESS}:{world.ports.sip}", flow)
    phone.cancel(exchange)
    assert (await asyncio.wait_for(exchange.final, 5)).status == 487
    await until(lambda: not world.hub.calls)
    await until(lambda: metric(world, "trunkline_active_calls") == 0)
    call.media.close()


async def test_the_callee_hangs_up(world: Sandbox, phone: Phone) -> None:
    call, hub_call = await answered(world, phone, "gus%40contoso.example")
    await asyncio.wait_for(call.over.wait(), 5)
    assert hub_call.ended_by == "teams"


async def test_the_caller_hangs_up(world: Sandbox, phone: Phone) -> None:
    call, hub_call = await answered(world, phone, "2101")
    await phone.hang_up(call)
    await until(hub_call.over.is_set)
    assert hub_call.ended_by == "sbc"


@pytest.mark.parametrize("hold", ["sendonly", "inactive"])
async def test_hold_is_inactive_for_the_hub_and_resume_brings_audio_back(
    world: Sandbox, phone: Phone, hold: str
) -> None:
    call, hub_call = await answered(world, phone, "2101")
    await until(lambda: hears_callee(call, hub_call))
    held = await asyncio.wait_for(phone.reinvite(call, hold), 5)
    assert held.status == 200
    assert hub_call.held
    assert b"a=inactive" in held.body
    call.media.muted = True
    before = call.media.received
    await asyncio.sleep(0.3)
    assert call.media.received <= before + 2, "no audio while held"
    assert (await asyncio.wait_for(phone.reinvite(call, "sendrecv"), 5)).status == 200
    assert not hub_call.held
    resumed = call.media.received
    await until(lambda: call.media.received > resumed + 20)
    await phone.hang_up(call)
    await until(hub_call.over.is_set)
    assert not [fault for fault in world.hub.refused if fault.startswith("488")], world.hub.refused


async def test_a_refresh_is_answered_without_bothering_the_hub(world: Sandbox, phone: Phone) -> None:
    call, hub_call = await answered(world, phone, "2101")
    seen = len(world.hub.wire)
    description = call.media.describe()
    assert call.dialog is not None
    headers = (("Contact", f"<sip:agent@{SBC_ADDRESS}:{phone.port}>"), ("Content-Type", "application/sdp"))
    for _ in range(2):
        request = call.dialog.request("INVITE", headers=headers, body=description)
        final = await phone.request(request, call.flow, f"{SBC_ADDRESS}:{phone.port}").final
        assert final.status == 200
        phone.ack(call.dialog.ack(request.cseq.number), call.flow, f"{SBC_ADDRESS}:{phone.port}")
    reinvites = [m for _, _, m in world.hub.wire[seen:] if isinstance(m, Request) and m.method == "INVITE"]
    assert len(reinvites) <= 1
    await phone.hang_up(call)
    await until(hub_call.over.is_set)


async def test_teams_calls_the_contact_centre(world: Sandbox) -> None:
    hub_call, final = await asyncio.wait_for(world.hub.call_out(AGENT_NUMBER), 10)
    assert final.status == 200
    assert final.contact is not None
    assert final.contact.uri.host == "sbc1.contoso.example"
    await until(lambda: hub_call.phone.heard.recognises(world.agent.print))
    agent_call = next(call for call in world.agent.calls.values() if not call.over.is_set())
    await world.hub.hang_up(hub_call)
    await asyncio.wait_for(agent_call.over.wait(), 5)


async def test_the_contact_centre_hangs_up_on_teams(world: Sandbox) -> None:
    hub_call, final = await asyncio.wait_for(world.hub.call_out(AGENT_NUMBER), 10)
    assert final.status == 200
    agent_call = next(call for call in world.agent.calls.values() if not call.over.is_set())
    await world.agent.hang_up(agent_call)
    await asyncio.wait_for(hub_call.over.wait(), 5)
    assert hub_call.ended_by == "sbc"


async def test_teams_calls_a_number_that_nobody_has(world: Sandbox) -> None:
    _, final = await asyncio.wait_for(world.hub.call_out("+14255550177"), 10)
    assert final.status == 404


async def test_an_invite_without_offer_reaches_the_hub_with_one(world: Sandbox, phone: Phone) -> None:
    flow = await phone.reach(SBC_ADDRESS, world.ports.sip, "")
    call, exchange = await phone.invite(f"sip:2101@{SBC_ADDRESS}:{world.ports.sip}", flow, offer=False)
    final = await asyncio.wait_for(exchange.final, 10)
    assert final.status == 200
    assert b"m=audio" in final.body
    phone.accept(call, exchange, final, answer_in_ack=True)
    await until(lambda: call.media.returned.recognises(phone.print), 8)
    await phone.hang_up(call)
    assert not [fault for fault in world.hub.refused if fault.startswith("415")]


async def test_nothing_is_left_behind(world: Sandbox) -> None:
    await until(lambda: metric(world, "trunkline_active_calls") == 0)
    await until(lambda: metric(world, "trunkline_sip_dialogs") == 0)
    assert metric(world, "trunkline_calls_total") > 20


async def test_the_node_drains_on_sigterm_and_refuses_new_calls(world: Sandbox, phone: Phone) -> None:
    call, hub_call = await answered(world, phone, "2101")
    assert world.service is not None
    os.kill(world.service.pid, signal.SIGTERM)
    await until(lambda: any("draining" in line for line in world.last_lines))
    flow = await phone.reach(SBC_ADDRESS, world.ports.sip, "")

    other, exchange = await phone.invite(f"sip:2105@{SBC_ADDRESS}:{world.ports.sip}", flow)
    final = await asyncio.wait_for(exchange.final, 10)
    other.media.close()
    assert final.status == 503
    assert final.headers.first("Retry-After") is not None
    assert not hub_call.over.is_set(), "the call in progress goes on"
    await phone.hang_up(call)
    assert await asyncio.wait_for(world.service.wait(), 10) == 0
    assert Path(world.folder / "service.log").read_text().count("Traceback") == 0
