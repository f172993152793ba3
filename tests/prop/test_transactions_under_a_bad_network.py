"""Whatever the network loses, doubles or reorders: every transaction ends, and its user hears one outcome."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.two_layers import World

NETWORK = {
    "seed": st.integers(0, 10_000),
    "loss": st.sampled_from([0.0, 0.1, 0.4, 0.8]),
    "duplication": st.sampled_from([0.0, 0.3]),
}
LIFE_S = 200.0


def answering(status: int, *, after_180: bool):
    def respond(world: World, effect) -> None:
        layer = world.sides[1].layer
        if after_180:
            world.run_effects(
                1, layer.respond(effect.txn, effect.request.response(180, to_tag="b"), world.now)
            )
        response = effect.request.response(status, to_tag="b")
        if status < 300 and effect.request.method == "INVITE":
            world.run_effects(1, layer.respond_until_acked(effect.txn, response, world.now))
        else:
            world.run_effects(1, layer.respond(effect.txn, response, world.now))

    return respond


def give_up_what_still_rings(world: World, txn) -> None:
    """Do what the user's timer C does: after a 1xx an INVITE waits for ever (§17.1.1.2), until it is cancelled."""
    caller = world.sides[0]
    if caller.finals or caller.failures:
        return
    assert caller.provisionals, "only a 1xx lets an INVITE wait beyond 64·T1"
    world.run_effects(0, caller.layer.cancel(txn, world.now))
    world.run(2 * LIFE_S)


@given(**NETWORK, status=st.sampled_from([404, 486, 603]), after_180=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_refused_invite(seed: int, loss: float, duplication: float, status: int, after_180: bool) -> None:
    world = World(seed, loss=loss, duplication=duplication)
    world.respond = answering(status, after_180=after_180)
    txn = world.send(world.invite())
    world.run(LIFE_S)
    give_up_what_still_rings(world, txn)
    caller, callee = world.sides
    assert len(caller.finals) + len(caller.failures) == 1
    assert len(callee.requests) <= 1, "repeats of the INVITE are absorbed"
    assert len(caller.layer) == len(callee.layer) == 0


@given(**NETWORK)
@settings(max_examples=60, deadline=None)
def test_a_bye(seed: int, loss: float, duplication: float) -> None:
    world = World(seed, loss=loss, duplication=duplication)
    world.respond = answering(200, after_180=False)
    world.send(world.invite("BYE"))
    world.run(LIFE_S)
    caller, callee = world.sides
    assert len(caller.finals) + len(caller.failures) == 1
    assert len(callee.requests) <= 1
    assert len(caller.layer) == len(callee.layer) == 0


@given(**NETWORK, acks=st.booleans())
@settings(max_examples=60, deadline=None)
def test_an_answered_invite(seed: int, loss: float, duplication: float, acks: bool) -> None:
    world = World(seed, loss=loss, duplication=duplication)
    world.respond = answering(200, after_180=False)
    txn = world.send(world.invite())
    if acks:
        # the TU acknowledges by telling the server side directly, whenever it has seen a 2xx
        step = 0.0
        while step < 40:
            step += 0.25
            world.run(step)
            if world.sides[0].finals:
                for answered in list(world.sides[1].layer._servers.values()):
                    world.sides[1].layer.ack_received(answered)
    world.run(LIFE_S)
    give_up_what_still_rings(world, txn)
    caller, callee = world.sides
    assert len(caller.failures) <= 1
    assert bool(caller.finals) != bool(caller.failures)
    assert len(callee.requests) <= 1
    assert len(caller.layer) == len(callee.layer) == 0
    if callee.requests and not caller.finals:
        assert callee.ack_timeouts, "a 2xx that nobody acknowledges is given up"


@given(seed=st.integers(0, 1000), loss=st.sampled_from([0.0, 0.3]), when=st.floats(0.0, 1.0))
@settings(max_examples=60, deadline=None)
def test_a_cancelled_invite(seed: int, loss: float, when: float) -> None:
    world = World(seed, loss=loss)
    world.respond = lambda w, e: w.run_effects(
        1, w.sides[1].layer.respond(e.txn, e.request.response(180, to_tag="b"), w.now)
    )
    txn = world.send(world.invite())
    world.run(when)
    world.run_effects(0, world.sides[0].layer.cancel(txn, world.now, "SIP;cause=487"))
    world.run(LIFE_S)
    caller, callee = world.sides
    assert len(caller.finals) + len(caller.failures) == 1
    assert all(response.status == 487 for response in caller.finals)
    assert len(caller.layer) == 0
    assert len(callee.cancels) <= 1
