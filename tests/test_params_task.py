"""The task of a run: unknown and incomplete tasks are refused by name, and so is what does not go with a task."""

import re
import sys
from types import ModuleType

import pytest
import torch
from own_task import RowSums
from tiny import tiny

import anm
from anm.params import ParamError, RunParams
from anm.registry import CHOICES
from anm.tasks import get


def own(monkeypatch, task) -> str:
    """The name of this object as a user's own task."""
    module = ModuleType("tasks_of_a_test")
    module.Mine = task
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return "tasks_of_a_test:Mine"


def subclass(base=RowSums, **changes):
    return type("Mine", (base,), changes)


class NeedsArgument(RowSums):
    def __init__(self, more):
        self.more = more


def shapes_alone(self, n):
    return (n, n), (n,)


BAD = {
    "no draw": (subclass(anm.Task, name="x", splits=RowSums.splits, shapes=shapes_alone), "lacks the method `draw`"),
    "no shapes": (subclass(anm.Task, name="x", splits=RowSums.splits, draw=RowSums.draw), "lacks the method `shapes`"),
    "no name": (subclass(anm.Task, splits={}, shapes=shapes_alone, draw=RowSums.draw), "lacks `name`, a text"),
    "no splits": (
        subclass(anm.Task, name="x", shapes=shapes_alone, draw=RowSums.draw),
        "splits must be {'same': number, 'harder': number}, not None",
    ),
    "one split": (subclass(splits={"same": 1.0}), "{'same': number, 'harder': number}, not {'same': 1.0}"),
    "a third split": (subclass(splits=RowSums.splits | {"hardest": 3.0}), "splits must be"),
    "a list of splits": (subclass(splits=["same", "harder"]), "splits must be"),
    "other answers": (
        subclass(shapes=lambda self, n: ((n, n), (n, n))),
        "Mine.draw: answers must be (S, B, 5, 5), not (1, 2, 5) (S = 1, B = 2)",
    ),
    "other problems": (
        subclass(draw=lambda self, draws, batch, n, difficulty: (draws.uniform(batch, n), draws.uniform(batch, n))),
        "Mine.draw: problems must be (S, B, 5, 5), not (1, 2, 5)",
    ),
    "answers that are numbers": (
        subclass(shapes=lambda self, n: ((n, n), ())),
        "Mine.shapes: problems and answers must have a dimension; that of a number is (1,)",
    ),
    "a draw that fails": (
        subclass(draw=lambda self, draws, batch, n, difficulty: draws.cauchy(batch, n)),
        "must be a subclass of anm.Task that works (AttributeError: 'NumpyDraws' object has no attribute 'cauchy')",
    ),
    "a draw of matrices that do not fit": (
        subclass(draw=lambda self, draws, batch, n, difficulty: (torch.ones(2, 3) @ torch.ones(2, 3),) * 2),
        "must be a subclass of anm.Task that works (RuntimeError: ",
    ),
    "a constructor with an argument": (NeedsArgument, "must be a subclass of anm.Task that works (TypeError: "),
    "no subclass": (subclass(object), "must be a subclass of anm.Task that works (AttributeError: "),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_own_task_that_is_incomplete_is_refused_by_name(kind, monkeypatch):
    task, reason = BAD[kind]
    name = own(monkeypatch, task)
    with pytest.raises(ParamError, match=rf"task = '{name}': .*{re.escape(reason)}"):
        RunParams(task=name, n=5)


def test_a_complete_one_is_accepted(monkeypatch):
    name = own(monkeypatch, subclass())
    params = RunParams(task=name, n=5)
    assert params.task_object().shapes(5) == ((5, 5), (5,)) and params.task_object() is params.task_object()
    assert set(RunParams(task="own_task:RowSums").plugin_hashes()) == {"own_task:RowSums"}


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            {"task": "addition", "energy": "bilinear"},
            "energy = 'bilinear': is for task inverse, not 'addition'; use mlp",
        ),
        ({"task": "square_root", "energy": "residual"}, "energy = 'residual': is for task inverse, not 'square_root'"),
        ({"task": "completion", "n": 9}, "n = 9: must be at least the rank of completion, 10"),
        ({"task": "completion", "n": 4, "completion_rank": 5}, "n = 4: must be at least the rank of completion, 5"),
        ({"task": "connectivity", "n": 2}, "n = 2: connectivity needs at least 3 nodes"),
        (
            {"task": "completion", "false_negative_residual": 0.2},
            "false_negative_residual = 0.2: nobody can tell whether an answer to 'completion' is right",
        ),
        (
            {"task": "own_task:RowSums", "false_negative_residual": 1},
            "false_negative_residual = 1.0: nobody can tell whether an answer to 'own_task:RowSums' is right",
        ),
    ],
)
def test_what_does_not_go_with_the_task_is_refused_with_the_reason(settings, message):
    with pytest.raises(ParamError) as caught:
        RunParams(**settings)
    assert str(caught.value).startswith(message)


def test_what_goes_with_the_task_is_accepted():
    assert RunParams(task="completion", n=4, completion_rank=4).task_object().rank == 4
    assert RunParams(task="inverse", n=2, completion_rank=50).task_object() is RunParams().task_object()
    for task in ("inverse", "addition", "square_root", "square_root_many", "connectivity"):
        assert RunParams(task=task, false_negative_residual=0.2).task_object().verifiable


def test_runs_of_different_tasks_have_different_ids(tmp_path):
    names = [*CHOICES["task"], "own_task:RowSums"]
    runs = [tiny(tmp_path, task=task, completion_rank=2) for task in names]
    assert len({params.run_id() for params in runs}) == len(names) == 7
    assert runs[0].run_id() == tiny(tmp_path, completion_rank=2).run_id()
    assert tiny(tmp_path, task="completion", completion_rank=3).run_id() != runs[names.index("completion")].run_id()


def test_tasks_by_name():
    assert get("inverse") is get("inverse") and get("completion", rank=3).rank == 3
    assert isinstance(get("own_task:RowSums"), RowSums)
    with pytest.raises(
        ValueError, match="task = 'invert': must be one of inverse, .*, or \"module:Class\" of your own"
    ):
        get("invert")
