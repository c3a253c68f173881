"""The frozen sets of a task: numbered test sets and the fitting set share no problem."""

import pytest

from anm.tasks import frozen, get
from anm.tasks.frozen import FIT_STREAM, TEST_STREAM, frozen_problems

TASK = get("inverse")


def rows(tensor):
    return {tuple(row.flatten().tolist()) for row in tensor}


@pytest.mark.parametrize("difficulty", TASK.splits.values())
def test_no_two_test_sets_nor_the_fitting_set_share_a_problem_or_a_start(difficulty):
    streams = [FIT_STREAM, *(frozen.test_stream(number) for number in range(4))]
    sets = [frozen_problems(TASK, 3, difficulty, 1200, stream) for stream in streams]
    for part in ("problem", "answer", "start"):
        assert len(set.union(*(rows(getattr(each, part)) for each in sets))) == 5 * 1200


def test_every_test_set_has_a_stream_of_its_own():
    streams = [frozen.test_stream(number) for number in range(1001)]
    assert len({FIT_STREAM, *streams}) == 1002


def test_the_first_test_set_is_the_one_of_runs_before_there_were_more():
    assert frozen.test_stream(0) == TEST_STREAM == 20240610
    usual, numbered = (frozen_problems(TASK, 3, 0.5, 5, *stream) for stream in ((), (frozen.test_stream(0),)))
    assert rows(usual.problem) == rows(numbered.problem)
