"""best.pt: the averaged weights with the lowest validation error, also of a run that diverged."""

import numpy as np
import pytest
import torch
from tiny import narrow, same_bits, silent_train, tiny  # noqa: F401

import anm
from anm.tasks.frozen import FIT_STREAM
from anm.training import checkpoints, loop
from anm.training.metrics import TrainingMetrics
from anm.training.state import TrainingError

nan = float("nan")


def best_path(params):
    return checkpoints.run_folder(params) / checkpoints.BEST


def test_the_last_validation_is_the_best_where_its_mean_is_lowest_and_finite():
    metrics = TrainingMetrics(10, 4)
    found = []
    for seeds in ([nan, 1.0], [2.0, 2.0], [1.0, 2.5], [0.5, 4.0], [1.0, 2.5], [nan, 0.1]):
        metrics.history["mse_same"].append(seeds)
        found.append(metrics.last_is_best())
    assert found == [False, True, True, False, True, False]


def test_a_run_that_diverges_keeps_its_best_weights_beside_its_last(tmp_path, register):
    """The rate is fine until a negative is not finite: validations at every step until then, each better or worse."""

    def spoilt(context):
        count = context.state["count"] = context.state.get("count", torch.zeros((), dtype=torch.int64)) + 1
        return context.normal() * (nan if int(count) == 7 else 1)

    register(spoilt)
    params = tiny(tmp_path, strategy="spoilt", train_steps=8, learning_rate=0.01)
    with pytest.raises(TrainingError, match="step 7: contrast of seed 0 is not finite.*best.pt"):
        silent_train(params, checkpoint_seconds=0)
    (last, *_) = checkpoints.list_checkpoints(checkpoints.run_folder(params))
    last, best = anm.load(last, device="cpu"), anm.load(best_path(params), device="cpu")
    errors = np.array(last.history["mse_same"]).mean(axis=1)
    assert len(errors) == last.step == 6 and best.step == 1 + int(errors.argmin())
    assert (best.step == last.step) == same_bits(best.model.state_dict(), last.model.state_dict())
    task = params.task_object()
    frozen = loop.frozen_problems(task, params.n, task.splits["same"], loop.VALIDATION_PROBLEMS, FIT_STREAM)
    again = loop.mse_per_seed(loop.solve_errors(best, frozen).error)["mse"]
    np.testing.assert_allclose(np.mean(again), errors.min(), rtol=1e-6)


def test_a_run_continues_from_its_last_checkpoint_and_not_from_its_best(tmp_path):
    params = tiny(tmp_path)
    silent_train(params)
    assert best_path(params).is_file() and best_path(params) not in checkpoints.list_checkpoints(
        checkpoints.run_folder(params)
    )
    (last,) = checkpoints.list_checkpoints(checkpoints.run_folder(params))
    assert best_path(params).stat().st_size < last.stat().st_size / 2


def test_a_run_that_starts_again_discards_it(tmp_path):
    params = tiny(tmp_path)
    silent_train(params)
    checkpoints.discard(params)
    assert not best_path(params).exists()
