"""The four transaction machines of RFC 3261 §17 as data, with RFC 6026 and RFC 4320.

A machine is a table from (state, input) to (next state, actions). A pair that is missing cannot happen; a pair that happens and
means nothing has an empty tuple of actions, and one that only a broken peer produces has `Action.REPORT`. The tables are
the whole truth: `sbc.sip.transactions` only carries actions out, and a test walks every pair.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from sbc.sip.timers import Timer


class State(enum.Enum):
    """States of all four machines; each uses some of them."""

    __hash__ = object.__hash__  # members are single objects; Enum's own hash is slow Python

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"  # RFC 6026
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class Input(enum.Enum):
    """What can happen to a transaction."""

    __hash__ = object.__hash__  # members are single objects; Enum's own hash is slow Python

    REQUEST = "request"  # the request again (server)
    ACK = "ack"
    R1XX = "1xx"
    R2XX = "2xx"
    R3XX_6XX = "3xx-6xx"
    SEND_1XX = "send 1xx"
    SEND_2XX = "send 2xx"
    SEND_3XX_6XX = "send 3xx-6xx"
    TRANSPORT_ERROR = "transport error"
    TIMER_A = "timer A"
    TIMER_B = "timer B"
    TIMER_C = "timer C"
    TIMER_D = "timer D"
    TIMER_E = "timer E"
    TIMER_F = "timer F"
    TIMER_G = "timer G"
    TIMER_H = "timer H"
    TIMER_I = "timer I"
    TIMER_J = "timer J"
    TIMER_K = "timer K"
    TIMER_L = "timer L"
    TIMER_M = "timer M"
    TIMER_TRYING = "time to say 100"
    TIMER_EXPIRY = "no time left to answer"


class Action(enum.Enum):
    """What a machine wants done, in order."""

    __hash__ = object.__hash__  # members are single objects; Enum's own hash is slow Python

    TO_USER = "hand the message to the transaction user"
    SEND = "send the response that the user gave"
    SEND_100 = "send 100 in the user's stead"
    RESEND = "send the last message again"
    ACK = "acknowledge a final response that is not 2xx (§17.1.1.3)"
    FAIL_TIMEOUT = "tell the user that no answer came"
    FAIL_TRANSPORT = "tell the user that the transport failed"
    NO_ACK = "tell the user that its final response was never acknowledged"
    BACK_OFF = "start the retransmission timer again with the next interval"
    SLOW_DOWN = "let the retransmission timer run at T2 from now on (§17.1.2.2)"
    START_D = "start timer D"
    START_G = "start timer G"
    START_H = "start timer H"
    START_I = "start timer I"
    START_J = "start timer J"
    START_K = "start timer K"
    START_L = "start timer L"
    START_M = "start timer M"
    START_EXPIRY = "give the user 64·T1 more"
    STOP_RETRANSMISSION = "stop timers A, E or G"
    STOP_GIVING_UP = "stop timers B, C, F or H"
    STOP_WAITING = "stop waiting for the user's answer"
    REPORT = "report an anomaly"


Table: TypeAlias = dict[tuple[State, Input], tuple[State, tuple[Action, ...]]]

STARTS = {
    Action.START_D: Timer.D,
    Action.START_G: Timer.G,
    Action.START_H: Timer.H,
    Action.START_I: Timer.I,
    Action.START_J: Timer.J,
    Action.START_K: Timer.K,
    Action.START_L: Timer.L,
    Action.START_M: Timer.M,
    Action.START_EXPIRY: Timer.EXPIRY,
}
"""The actions that start a timer, and which."""

TIMER_INPUTS: dict[Timer, Input] = {
    timer: Input[f"TIMER_{timer.name}"]
    for timer in Timer
    if timer not in (Timer.RETRANSMIT_2XX, Timer.ACK_WAIT)  # the user's (§13.3.1.4), not the machine's
}
"""What a timer is to its machine when it goes off."""

_S, _I, _A = State, Input, Action
_END = _S.TERMINATED

# §17.1.1, figure 5, with the Accepted state of RFC 6026 §8.4. Timers A and B run from the start.
INVITE_CLIENT: Table = {
    (_S.CALLING, _I.R1XX): (_S.PROCEEDING, (_A.STOP_RETRANSMISSION, _A.STOP_GIVING_UP, _A.TO_USER)),
    (_S.CALLING, _I.R2XX): (_S.ACCEPTED, (_A.STOP_RETRANSMISSION, _A.STOP_GIVING_UP, _A.TO_USER, _A.START_M)),
    (_S.CALLING, _I.R3XX_6XX): (
        _S.COMPLETED,
        (_A.STOP_RETRANSMISSION, _A.STOP_GIVING_UP, _A.ACK, _A.TO_USER, _A.START_D),
    ),
    (_S.CALLING, _I.TIMER_A): (_S.CALLING, (_A.RESEND, _A.BACK_OFF)),
    (_S.CALLING, _I.TIMER_B): (_END, (_A.FAIL_TIMEOUT,)),
    (_S.CALLING, _I.TRANSPORT_ERROR): (_END, (_A.FAIL_TRANSPORT,)),
    (_S.PROCEEDING, _I.R1XX): (_S.PROCEEDING, (_A.TO_USER,)),
    (_S.PROCEEDING, _I.R2XX): (_S.ACCEPTED, (_A.STOP_GIVING_UP, _A.TO_USER, _A.START_M)),
    (_S.PROCEEDING, _I.R3XX_6XX): (_S.COMPLETED, (_A.STOP_GIVING_UP, _A.ACK, _A.TO_USER, _A.START_D)),
    (_S.PROCEEDING, _I.TIMER_C): (_END, (_A.FAIL_TIMEOUT,)),  # §9.1: CANCEL and then silence
    (_S.PROCEEDING, _I.TRANSPORT_ERROR): (_END, (_A.FAIL_TRANSPORT,)),
    (_S.ACCEPTED, _I.R1XX): (_S.ACCEPTED, ()),
    (_S.ACCEPTED, _I.R2XX): (_S.ACCEPTED, (_A.TO_USER,)),  # repeated, or another fork's: the user ACKs each
    (_S.ACCEPTED, _I.R3XX_6XX): (_S.ACCEPTED, (_A.REPORT,)),
    (_S.ACCEPTED, _I.TIMER_M): (_END, ()),
    (_S.ACCEPTED, _I.TRANSPORT_ERROR): (_S.ACCEPTED, ()),  # 2xx may still come another way
    (_S.COMPLETED, _I.R1XX): (_S.COMPLETED, ()),
    (_S.COMPLETED, _I.R2XX): (_S.COMPLETED, (_A.REPORT,)),
    (_S.COMPLETED, _I.R3XX_6XX): (_S.COMPLETED, (_A.ACK,)),
    (_S.COMPLETED, _I.TIMER_D): (_END, ()),
    (_S.COMPLETED, _I.TRANSPORT_ERROR): (_END, ()),  # only the ACK is lost: the user has its answer
}

# §17.1.2, figure 6. Timers E and F run from the start; a 1xx leaves E as it is, and only its next start is at T2.
CLIENT: Table = {
    (_S.TRYING, _I.R1XX): (_S.PROCEEDING, (_A.TO_USER,)),
    (_S.TRYING, _I.R2XX): (_S.COMPLETED, (_A.STOP_RETRANSMISSION, _A.STOP_GIVING_UP, _A.TO_USER, _A.START_K)),
    (_S.TRYING, _I.R3XX_6XX): (
        _S.COMPLETED,
        (_A.STOP_RETRANSMISSION, _A.STOP_GIVING_UP, _A.TO_USER, _A.START_K),
    ),
    (_S.TRYING, _I.TIMER_E): (_S.TRYING, (_A.RESEND, _A.BACK_OFF)),
    (_S.TRYING, _I.TIMER_F): (_END, (_A.FAIL_TIMEOUT,)),
    (_S.TRYING, _I.TRANSPORT_ERROR): (_END, (_A.FAIL_TRANSPORT,)),
    (_S.PROCEEDING, _I.R1XX): (_S.PROCEEDING, (_A.TO_USER,)),
    (_S.PROCEEDING, _I.R2XX): (
        _S.COMPLETED,
        (_A.STOP_RETRANSMISSION, _A.STOP_GIVING_UP, _A.TO_USER, _A.START_K),
    ),
    (_S.PROCEEDING, _I.R3XX_6XX): (
        _S.COMPLETED,
        (_A.STOP_RETRANSMISSION, _A.STOP_GIVING_UP, _A.TO_USER, _A.START_K),
    ),
    (_S.PROCEEDING, _I.TIMER_E): (_S.PROCEEDING, (_A.RESEND, _A.SLOW_DOWN)),
    (_S.PROCEEDING, _I.TIMER_F): (_END, (_A.FAIL_TIMEOUT,)),
    (_S.PROCEEDING, _I.TRANSPORT_ERROR): (_END, (_A.FAIL_TRANSPORT,)),
    (_S.COMPLETED, _I.R1XX): (_S.COMPLETED, ()),
    (_S.COMPLETED, _I.R2XX): (_S.COMPLETED, ()),
    (_S.COMPLETED, _I.R3XX_6XX): (_S.COMPLETED, ()),
    (_S.COMPLETED, _I.TIMER_K): (_END, ()),
    (_S.COMPLETED, _I.TRANSPORT_ERROR): (_END, ()),
}

# §17.2.1, figure 7, with RFC 6026 §7.1. 100 Trying has been sent when the machine starts.
INVITE_SERVER: Table = {
    (_S.PROCEEDING, _I.REQUEST): (_S.PROCEEDING, (_A.RESEND,)),
    (_S.PROCEEDING, _I.ACK): (_S.PROCEEDING, (_A.REPORT,)),
    (_S.PROCEEDING, _I.SEND_1XX): (_S.PROCEEDING, (_A.SEND,)),
    (_S.PROCEEDING, _I.SEND_2XX): (_S.ACCEPTED, (_A.SEND, _A.START_L)),
    (_S.PROCEEDING, _I.SEND_3XX_6XX): (_S.COMPLETED, (_A.SEND, _A.START_G, _A.START_H)),
    # The user decides; a repeat of the INVITE may bring another connection
    (_S.PROCEEDING, _I.TRANSPORT_ERROR): (_S.PROCEEDING, ()),
    (_S.ACCEPTED, _I.REQUEST): (_S.ACCEPTED, ()),  # RFC 6026 §7.1: absorbed; the 2xx is the user's to repeat
    (_S.ACCEPTED, _I.ACK): (_S.ACCEPTED, (_A.TO_USER,)),
    (_S.ACCEPTED, _I.SEND_1XX): (_S.ACCEPTED, (_A.REPORT,)),
    (_S.ACCEPTED, _I.SEND_2XX): (_S.ACCEPTED, (_A.SEND,)),
    (_S.ACCEPTED, _I.SEND_3XX_6XX): (_S.ACCEPTED, (_A.REPORT,)),
    (_S.ACCEPTED, _I.TIMER_L): (_END, ()),
    (_S.ACCEPTED, _I.TRANSPORT_ERROR): (_S.ACCEPTED, ()),
    (_S.COMPLETED, _I.REQUEST): (_S.COMPLETED, (_A.RESEND,)),
    (_S.COMPLETED, _I.ACK): (_S.CONFIRMED, (_A.STOP_RETRANSMISSION, _A.STOP_GIVING_UP, _A.START_I)),
    (_S.COMPLETED, _I.SEND_1XX): (_S.COMPLETED, (_A.REPORT,)),
    (_S.COMPLETED, _I.SEND_2XX): (_S.COMPLETED, (_A.REPORT,)),
    (_S.COMPLETED, _I.SEND_3XX_6XX): (_S.COMPLETED, (_A.REPORT,)),
    (_S.COMPLETED, _I.TIMER_G): (_S.COMPLETED, (_A.RESEND, _A.BACK_OFF)),
    (_S.COMPLETED, _I.TIMER_H): (_END, (_A.NO_ACK,)),
    (_S.COMPLETED, _I.TRANSPORT_ERROR): (_S.COMPLETED, ()),
    (_S.CONFIRMED, _I.REQUEST): (_S.CONFIRMED, ()),
    (_S.CONFIRMED, _I.ACK): (_S.CONFIRMED, ()),
    (_S.CONFIRMED, _I.SEND_1XX): (_S.CONFIRMED, (_A.REPORT,)),
    (_S.CONFIRMED, _I.SEND_2XX): (_S.CONFIRMED, (_A.REPORT,)),
    (_S.CONFIRMED, _I.SEND_3XX_6XX): (_S.CONFIRMED, (_A.REPORT,)),
    (_S.CONFIRMED, _I.TIMER_I): (_END, ()),
    (_S.CONFIRMED, _I.TRANSPORT_ERROR): (_S.CONFIRMED, ()),
}

# §17.2.2, figure 8, with RFC 4320 §4: after a while the layer says 100 itself, and a user that never answers leaves nothing
# behind. `Timer.TRYING` runs from the start.
SERVER: Table = {
    (_S.TRYING, _I.REQUEST): (_S.TRYING, ()),
    (_S.TRYING, _I.ACK): (_S.TRYING, (_A.REPORT,)),
    (_S.TRYING, _I.SEND_1XX): (_S.PROCEEDING, (_A.SEND,)),
    (_S.TRYING, _I.SEND_2XX): (_S.COMPLETED, (_A.SEND, _A.STOP_WAITING, _A.START_J)),
    (_S.TRYING, _I.SEND_3XX_6XX): (_S.COMPLETED, (_A.SEND, _A.STOP_WAITING, _A.START_J)),
    (_S.TRYING, _I.TIMER_TRYING): (_S.PROCEEDING, (_A.SEND_100, _A.START_EXPIRY)),
    (_S.TRYING, _I.TRANSPORT_ERROR): (_S.TRYING, ()),
    (_S.PROCEEDING, _I.REQUEST): (_S.PROCEEDING, (_A.RESEND,)),
    (_S.PROCEEDING, _I.ACK): (_S.PROCEEDING, (_A.REPORT,)),
    (_S.PROCEEDING, _I.SEND_1XX): (_S.PROCEEDING, (_A.SEND,)),
    (_S.PROCEEDING, _I.SEND_2XX): (_S.COMPLETED, (_A.SEND, _A.STOP_WAITING, _A.START_J)),
    (_S.PROCEEDING, _I.SEND_3XX_6XX): (_S.COMPLETED, (_A.SEND, _A.STOP_WAITING, _A.START_J)),
    (_S.PROCEEDING, _I.TIMER_TRYING): (_S.PROCEEDING, (_A.START_EXPIRY,)),
    (_S.PROCEEDING, _I.TIMER_EXPIRY): (_END, (_A.REPORT,)),
    (_S.PROCEEDING, _I.TRANSPORT_ERROR): (_S.PROCEEDING, ()),
    (_S.COMPLETED, _I.REQUEST): (_S.COMPLETED, (_A.RESEND,)),
    (_S.COMPLETED, _I.ACK): (_S.COMPLETED, (_A.REPORT,)),
    (_S.COMPLETED, _I.SEND_1XX): (_S.COMPLETED, (_A.REPORT,)),
    (_S.COMPLETED, _I.SEND_2XX): (_S.COMPLETED, (_A.REPORT,)),
    (_S.COMPLETED, _I.SEND_3XX_6XX): (_S.COMPLETED, (_A.REPORT,)),
    (_S.COMPLETED, _I.TIMER_J): (_END, ()),
    (_S.COMPLETED, _I.TRANSPORT_ERROR): (_S.COMPLETED, ()),
}
