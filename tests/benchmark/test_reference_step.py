"""The reference step against the trainer's own step."""

import pytest
import torch

from anm.benchmark.reference_step import ReferenceTraining
from anm.params import RunParams
from anm.training.state import TrainingState
from anm.training.step import training_step


@pytest.mark.parametrize("strategy", ["none", "random", "adversarial"])
def test_the_reference_step_is_the_same_mathematics(tmp_path, strategy):
    params = RunParams(
        n=4, batch_size=16, strategy=strategy, seeds="3,5", device="cpu", compile="no", checkpoint_dir=str(tmp_path)
    )
    ours, reference = TrainingState(params), ReferenceTraining(params)
    for _ in range(3):
        training_step(ours)
        reference.step()
    for place, seed in enumerate(reference.seeds):
        for weight, theirs in zip(ours.weights, seed.model.parameters()):
            # Adam's first steps have the size of the learning rate, whatever the gradient: compare on that scale
            torch.testing.assert_close(weight[place : place + 1], theirs, rtol=0, atol=1e-4)
