"""The transaction tables decide every input that their machine can meet, in every state."""

import pytest

from sbc.sip.errors import LocalError
from sbc.sip.timers import Timer, Timers
from sbc.sip.transaction_tables import (
    CLIENT,
    INVITE_CLIENT,
    INVITE_SERVER,
    SERVER,
    STARTS,
    TIMER_INPUTS,
    Action,
    Input,
    State,
    Table,
)

CLIENT_INPUTS = {Input.R1XX, Input.R2XX, Input.R3XX_6XX, Input.TRANSPORT_ERROR}
SERVER_INPUTS = {
    Input.REQUEST,
    Input.ACK,
    Input.SEND_1XX,
    Input.SEND_2XX,
    Input.SEND_3XX_6XX,
    Input.TRANSPORT_ERROR,
}

# The timers that can run in each state, and so go off there.
MACHINES: list[tuple[str, Table, set[Input], dict[State, set[Input]]]] = [
    (
        "INVITE client",
        INVITE_CLIENT,
        CLIENT_INPUTS,
        {
            State.CALLING: {Input.TIMER_A, Input.TIMER_B},
            State.PROCEEDING: {Input.TIMER_C},
            State.ACCEPTED: {Input.TIMER_M},
            State.COMPLETED: {Input.TIMER_D},
        },
    ),
    (
        "client",
        CLIENT,
        CLIENT_INPUTS,
        {
            State.TRYING: {Input.TIMER_E, Input.TIMER_F},
            State.PROCEEDING: {Input.TIMER_E, Input.TIMER_F},
            State.COMPLETED: {Input.TIMER_K},
        },
    ),
    (
        "INVITE server",
        INVITE_SERVER,
        SERVER_INPUTS,
        {
            State.PROCEEDING: set(),
            State.ACCEPTED: {Input.TIMER_L},
            State.COMPLETED: {Input.TIMER_G, Input.TIMER_H},
            State.CONFIRMED: {Input.TIMER_I},
        },
    ),
    (
        "server",
        SERVER,
        SERVER_INPUTS,
        {
            State.TRYING: {Input.TIMER_TRYING},
            State.PROCEEDING: {Input.TIMER_TRYING, Input.TIMER_EXPIRY},
            State.COMPLETED: {Input.TIMER_J},
        },
    ),
]


@pytest.mark.parametrize(
    ("name", "table", "inputs", "timers"), MACHINES, ids=[machine[0] for machine in MACHINES]
)
def test_every_state_decides_every_input(
    name: str, table: Table, inputs: set[Input], timers: dict[State, set[Input]]
) -> None:
    wanted = {(state, happening) for state, running in timers.items() for happening in inputs | running}
    assert set(table) == wanted, f"{name}: missing {wanted - set(table)}, never met {set(table) - wanted}"


@pytest.mark.parametrize("table", [machine[1] for machine in MACHINES])
def test_every_state_that_is_entered_can_be_left_to_the_end(table: Table) -> None:
    ends = {State.TERMINATED}
    while True:
        more = {state for (state, _), (after, _) in table.items() if after in ends} - ends
        if not more:
            break
        ends |= more
    assert {state for state, _ in table} <= ends


@pytest.mark.parametrize("table", [machine[1] for machine in MACHINES])
def test_a_timer_is_only_started_where_the_next_state_decides_it(table: Table) -> None:
    for (state, happening), (after, actions) in table.items():
        for action in actions:
            if action in STARTS:
                goes_off = TIMER_INPUTS[STARTS[action]]
                assert (after, goes_off) in table, (
                    f"{state} on {happening} starts {STARTS[action]} for {after}"
                )


def test_the_user_hears_a_final_response_of_a_failure_exactly_once() -> None:
    """RFC 3261 §17.1.1.2: repeated 300 to 699 are acknowledged and go no further."""
    assert Action.TO_USER in INVITE_CLIENT[State.PROCEEDING, Input.R3XX_6XX][1]
    assert Action.TO_USER not in INVITE_CLIENT[State.COMPLETED, Input.R3XX_6XX][1]


def test_rfc_6026_every_2xx_goes_up_and_the_server_absorbs_repeats() -> None:
    assert INVITE_CLIENT[State.ACCEPTED, Input.R2XX] == (State.ACCEPTED, (Action.TO_USER,))
    assert INVITE_SERVER[State.ACCEPTED, Input.REQUEST] == (State.ACCEPTED, ())


def test_timers_of_reliable_transports() -> None:
    """RFC 3261 appendix A: nothing is repeated, and what only absorbs repeats is zero."""
    timers = Timers()
    for timer in (Timer.A, Timer.E, Timer.G):
        assert timers.duration(timer, reliable=True) is None
    for timer in (Timer.D, Timer.I, Timer.J, Timer.K):
        assert timers.duration(timer, reliable=True) == 0
    for timer in (Timer.B, Timer.F, Timer.H, Timer.L, Timer.M):
        assert timers.duration(timer, reliable=True) == 32.0


def test_timers_of_udp() -> None:
    timers = Timers(t1=0.1, t2=0.8, t4=1.0)
    assert timers.duration(Timer.A, reliable=False) == 0.1
    assert timers.duration(Timer.D, reliable=False) == 32.0
    assert timers.duration(Timer.J, reliable=False) == pytest.approx(6.4)
    assert timers.duration(Timer.K, reliable=False) == 1.0


def test_a_1xx_leaves_timer_e_as_it_is() -> None:
    """RFC 3261 §17.1.2.2: only when E goes off in Proceeding is it set to T2."""
    assert CLIENT[State.TRYING, Input.R1XX] == (State.PROCEEDING, (Action.TO_USER,))


def test_the_user_has_until_timer_e_would_be_t2_before_100_is_said() -> None:
    """RFC 4320 §4.1: 0.5 + 1 + 2 seconds."""
    assert Timers().duration(Timer.TRYING, reliable=True) == 3.5
    assert Timers().duration(Timer.EXPIRY, reliable=True) == 32.0
    assert Timers(t1=1.0, t2=1.0).patience == 1.0


@pytest.mark.parametrize("values", [(0.0, 4.0, 5.0), (-1.0, 4.0, 5.0), (5.0, 4.0, 5.0), (0.5, 4.0, -1.0)])
def test_timers_that_would_never_or_always_go_off_are_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(LocalError):
        Timers(*values)
