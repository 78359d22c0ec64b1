"""Steps are counted in a buffer."""

from __future__ import annotations

from unalike.training import StepCounter


def test_the_count_is_part_of_the_state() -> None:
    counter, resumed = StepCounter(), StepCounter()
    for step in range(7):
        counter.follow(step)
    resumed.load_state_dict(counter.state_dict())
    assert int(resumed) == 7
