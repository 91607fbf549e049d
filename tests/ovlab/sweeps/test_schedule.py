"""ovlab.sweeps.schedule: the order of runs, the room for them, and when each would begin."""

import pytest

from ovlab.sweeps.schedule import Division, Span, longest_first, simulate


def test_longest_run_begins_first_and_what_was_never_measured_before_it() -> None:
    assert longest_first([3.0, None, 5.0, 0.0, None]) == [1, 4, 2, 0, 3]


def test_each_run_begins_where_first_there_is_room() -> None:
    assert simulate([2.0, 5.0, 3.0, 1.0], num_places=2) == [
        Span(1, 0, 0.0, 5.0),
        Span(2, 1, 0.0, 3.0),
        Span(0, 1, 3.0, 5.0),
        Span(3, 0, 5.0, 6.0),
    ]


@pytest.mark.parametrize(
    ("division", "num_gpus", "num_places"),
    [
        (Division(), 4.0, 4),
        (Division(max_gpus=3), 4.0, 3),
        (Division(num_at_once=8), 4.0, 8),  # they share the GPUs
        (Division(num_processes=2), 5.0, 2),
        (Division(num_processes=2), 1.0, 0),
        (Division(num_processes=2, num_at_once=1), 8.0, 1),
        (Division(num_processes=2, max_gpus=3), 8.0, 1),
        (Division(num_processes=(2, 4)), 10.0, 3),
        (Division(num_processes=(2, 4)), 9.0, 2),
        # The second, begun on two of them, could grow to four.
        (Division(num_processes=(2, 4), max_gpus=6), 8.0, 1),
        (Division(num_processes=(2, 4), max_gpus=3), 8.0, 1),
    ],
)
def test_room_for_runs_is_what_their_processes_leave(division: Division, num_gpus: float, num_places: int) -> None:
    assert division.num_places(num_gpus) == num_places
