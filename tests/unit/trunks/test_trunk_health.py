"""Targets are preferred by what was last heard of them."""

from config.trunks import Target
from sbc.trunks.health import TargetState, TrunkHealth

HUBS = tuple(Target.parse(f"sip{n}.pstnhub.contoso.example:5061") for n in ("", "2", "3"))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def health() -> tuple[TrunkHealth, Clock, list[tuple[Target, TargetState, str]]]:
    clock, heard = Clock(), []
    made = TrunkHealth(HUBS)
    made.clock = clock
    made.changed = lambda target, state, why: heard.append((target, state, why))
    return made, clock, heard


def test_untried_targets_are_tried_in_the_configured_order() -> None:
    assert health()[0].candidates() == HUBS


def test_a_target_that_reacts_goes_before_one_that_is_down() -> None:
    made, _, _ = health()
    made.failed(HUBS[0], "connection refused")
    made.reacted(HUBS[1])
    assert made.candidates() == (HUBS[1], HUBS[2], HUBS[0])


def test_a_shedding_target_is_left_alone_until_its_time_is_over() -> None:
    made, clock, _ = health()
    made.shed(HUBS[0], 30)
    assert HUBS[0] not in made.candidates()
    assert made.rest_s() == 30
    clock.now += 29.9
    assert HUBS[0] not in made.candidates()
    clock.now += 0.2
    assert HUBS[0] in made.candidates()


def test_a_503_without_retry_after_counts_as_down() -> None:
    made, _, _ = health()
    made.shed(HUBS[0], None)
    assert made.state(HUBS[0])[0] is TargetState.DOWN


def test_only_changes_are_reported() -> None:
    made, _, heard = health()
    made.reacted(HUBS[0])
    made.reacted(HUBS[0])
    made.failed(HUBS[0], "no answer to OPTIONS")
    made.failed(HUBS[0], "no answer to OPTIONS")
    assert [state for _, state, _ in heard] == [TargetState.UP, TargetState.DOWN]
