"""The exponential moving average of the weights."""

import torch
from tiny import narrow, tiny  # noqa: F401

from anm.training.state import TrainingState
from anm.training.step import training_step


def test_the_averaged_weights_by_definition(tmp_path):
    training = TrainingState(tiny(tmp_path))
    average = [weight.detach().double() for weight in training.weights]
    for steps in range(1, 6):
        training_step(training)
        keep = min(0.9995, (1 + steps) / (10 + steps))
        average = [keep * a + (1 - keep) * weight.detach().double() for a, weight in zip(average, training.weights)]
    for a, b in zip(average, training.average.parameters()):
        torch.testing.assert_close(b.double(), a, rtol=1e-5, atol=1e-7)
    assert not any(parameter.requires_grad for parameter in training.average.parameters())
    solver = training.solver()
    A, x_t, t = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.zeros(2, 3, dtype=torch.int64)
    assert not torch.allclose(solver.model.energy(A, x_t, t), training.model.energy(A, x_t, t))
    copy = TrainingState(tiny(tmp_path)).average
    copy.load_state_dict(training.average.state_dict())
    assert torch.equal(solver.model.energy(A, x_t, t), copy.energy(A, x_t, t))
