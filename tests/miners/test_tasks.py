"""Every strategy makes negatives for every task, and for one of a user's own with vectors as answers."""

import math

import pytest
import torch
from tiny import narrow, silent_train, tiny  # noqa: F401

from anm.miners import mine_negative
from anm.registry import CHOICES, resolve
from anm.training.losses import row_losses
from anm.training.state import TrainingState
from anm.training.step import draw_batch

OWN = "own_task:RowSums"
TASKS = [*CHOICES["task"], OWN]


def settings_of(task, strategy):
    return {"task": task, "strategy": strategy, "completion_rank": 2, "replay_size": 20, "corruption_share": 0.9}


@pytest.mark.parametrize("strategy", CHOICES["strategy"])
@pytest.mark.parametrize("task", TASKS)
def test_every_strategy_trains_every_task(task, strategy, tmp_path):
    params = tiny(tmp_path, **settings_of(task, strategy), train_steps=2)
    shape, verifiable = params.task_object().shapes(4)[1], params.task_object().verifiable
    context, _ = draw_batch(TrainingState(params))
    negative = mine_negative(resolve("strategy", strategy), context)
    if strategy != "none":
        assert negative.shape == context.x0.shape == (2, 8, *shape) and negative.isfinite().all()
        assert negative.abs().max() <= params.answer_bound
        assert (negative != context.x0).flatten(2).any(-1).float().mean() > 0.5
    history = silent_train(params).history
    assert all(math.isfinite(loss) for name in ("loss", "denoise", "grad_norm") for loss in history[name][-1])
    assert all(math.isfinite(loss) for loss in history["contrast"][-1] if strategy != "none")
    for name in ("distance", "residual", "false"):
        known = [value for value in history["by_level"][name][-1] if value is not None and math.isfinite(value)]
        assert bool(known) == (strategy != "none" and (name == "distance" or verifiable))


def test_negatives_of_a_task_that_nobody_can_verify_are_all_wrong(tmp_path):
    context, eps = draw_batch(TrainingState(tiny(tmp_path, task=OWN)))
    assert context.wrong(context.x0).shape == context.t.shape and context.wrong(context.x0).all()
    rows = row_losses(context.landscape, context, eps, lambda context: context.x0)
    assert rows["counts"].all() and not {"residual", "false"} & set(rows)


@pytest.mark.parametrize("task, off", [("addition", 0.5), ("square_root", 0.5), ("connectivity", -2.0)])
def test_right_answers_are_counted_and_filtered_by_the_violation_of_the_task(task, off, tmp_path):
    right = torch.arange(8) % 2 == 0

    def half_right(context):
        return torch.where(right[None, :, None, None], context.x0, context.x0 * (1 + off))

    for residual, used in ((0.0, torch.ones(8)), (0.05, (~right).float())):
        params = tiny(tmp_path, task=task, answer_bound=100, false_negative_residual=residual)
        context, eps = draw_batch(TrainingState(params))
        rows = row_losses(context.landscape, context, eps, half_right)
        assert torch.equal(rows["counts"], used.expand(2, 8))
        assert torch.equal(rows["false"], right.float().expand(2, 8))
        torch.testing.assert_close(rows["residual"], context.task.violation(context.problem, half_right(context)))


def test_without_a_filter_the_violation_is_computed_once_and_only_for_the_log(tmp_path, monkeypatch):
    training, calls = TrainingState(tiny(tmp_path, task="connectivity")), []
    violation = type(training.task).violation
    monkeypatch.setattr(
        type(training.task), "violation", lambda self, *arguments: calls.append(1) or violation(self, *arguments)
    )
    context, eps = draw_batch(training)
    row_losses(context.landscape, context, eps, resolve("strategy", "hardest_of_k"))
    assert len(calls) == 1
