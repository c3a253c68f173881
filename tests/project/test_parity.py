"""Parity with the code released with IRED, on its own outputs (n = 4, batch 16, float32, CPU)."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import anm
from anm.energies.schedule import Schedule
from anm.miners import MiningContext
from anm.miners.adversarial_search import adversarial
from anm.miners.simple import none, random
from anm.solvers.descent import descend
from anm.solvers.sampler import sample
from anm.training.losses import contrastive_loss, row_losses
from anm.training.state import ADAM_BETAS
from anm.training.step import MAX_GRAD_NORM, clip_per_seed

PARITY = Path(os.environ.get("ANM_PARITY", Path(__file__).parents[3] / "shared" / "parity" / "ired_n4.npz"))
pytestmark = pytest.mark.skipif(not PARITY.exists(), reason=f"no outputs of the released code at {PARITY}")


@pytest.fixture(scope="module")
def ired():
    """The released code's inputs and outputs, matrices as (1, 16, 4, 4)."""
    arrays = dict(np.load(PARITY))

    def shaped(key):
        array = torch.from_numpy(arrays[key])
        if key.startswith("weights/"):
            return array
        return array.view(1, 16, 4, 4) if array.shape == (16, 16) else array[None] if array.ndim else array

    return {key: shaped(key) for key in arrays}


@pytest.fixture
def model(ired):
    return anm.EnergyMLP.from_ired(
        {key.split("/")[1]: value for key, value in ired.items() if key.startswith("weights/")}
    )


@pytest.fixture
def schedule():
    return Schedule(10)


def agrees(ours, theirs, tolerance=1e-4):
    """Largest difference within `tolerance` of the largest value."""
    ours, theirs = torch.as_tensor(ours).detach().double(), torch.as_tensor(theirs).double()
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


def context_of(ired, model, schedule):
    params = anm.RunParams(n=4, seeds=0)
    task, t = params.task_object(), ired["t"]
    landscape = model.landscape(model.encode(ired["A"]), t)

    class Drawn:
        def normal(self, name, *shape):
            return ired["eps_contrastive" if name == "contrast" else "random_x0"]

    return MiningContext(task, ired["A"], ired["X"], t, landscape, schedule, params, Drawn(), {})


def test_schedule(ired, schedule):
    agrees(schedule.alpha_bar, ired["schedule/alphas_cumprod"][0])
    agrees(schedule.step_size, ired["schedule/opt_step_size"][0])


def test_energy_and_gradient(ired, model, schedule):
    x_t = schedule.noised(ired["X"], ired["t"], ired["eps"])
    agrees(x_t, ired["x_t"])
    energy, eps_hat = model.energy_and_grad(ired["A"], ired["x_t"], ired["t"])
    agrees(energy, ired["energy"])
    agrees(eps_hat, ired["energy_grad"])
    agrees(model.energy(ired["A"], ired["x_t"], ired["t"]), ired["energy"])


@pytest.mark.parametrize("case", ["t0", "t5", "t9", "mixed"])
def test_two_landscape_steps(ired, model, schedule, case):
    t = ired["t"] if case == "mixed" else torch.full((1, 16), int(case[1]))
    descent = descend(model.landscape(model.encode(ired["A"]), t), ired[f"landscape/{case}_x"], t, schedule, 2, 2.0)
    agrees(descent.x, ired[f"landscape/{case}_y"])


@pytest.mark.parametrize("strategy", [none, random, adversarial])
def test_losses(ired, model, schedule, strategy):
    rows = row_losses(
        context_of(ired, model, schedule).landscape, context_of(ired, model, schedule), ired["eps"], strategy
    )
    agrees(rows["denoise"].mean(), ired["loss/none"])
    if strategy is adversarial:
        agrees(rows["denoise"].mean(), ired["loss/adversarial_denoise"])
        agrees(rows["contrast"].mean(), ired["loss/adversarial_contrastive"])
        agrees(rows["denoise"].mean() + 0.5 * rows["contrast"].mean(), ired["loss/adversarial"])
    if strategy is random:
        agrees(rows["contrast"].mean(), ired["loss/random_contrastive"])


@pytest.mark.parametrize(
    "key, problems, steps", [("x0", "A", 5), ("x0_harder", "A_harder", 5), ("x0_no_landscape", "A", 0)]
)
def test_sampling(ired, model, schedule, key, problems, steps):
    with torch.no_grad():
        x0 = sample(model, ired[problems], ired["sample/x_T"], schedule, steps, bound=2.0)
    # The released code returns sqrt(alpha_bar_0) x0, at the scale of its last level; ours returns x0.
    agrees(x0 * schedule.sqrt_alpha_bar[0], ired[f"sample/{key}"])


@pytest.mark.parametrize("strategy", [none, adversarial])
def test_twenty_training_steps(ired, model, schedule, strategy):
    weights = list(model.parameters())
    optimiser = torch.optim.Adam(weights, 1e-4, ADAM_BETAS, fused=True)
    losses = []
    for _ in range(20):
        rows = row_losses(
            context_of(ired, model, schedule).landscape, context_of(ired, model, schedule), ired["eps"], strategy
        )
        loss = rows["denoise"].mean() + 0.5 * (rows["contrast"].mean() if strategy is adversarial else 0)
        optimiser.zero_grad()
        loss.backward()
        clip_per_seed([w.grad for w in weights], MAX_GRAD_NORM)
        optimiser.step()
        losses.append(loss.item())
    name = strategy.__name__
    agrees(losses, ired[f"train/{name}_loss"][0])
    energy, eps_hat = model.energy_and_grad(ired["A"], ired["x_t"], ired["t"])
    agrees(energy, ired[f"train/{name}_energy"])
    agrees(eps_hat, ired[f"train/{name}_energy_grad"])


def test_contrast_is_a_cross_entropy():
    positive, negative = torch.tensor([[0.3, 2.0]]), torch.tensor([[1.1, -40.0]])
    logits = torch.stack([-positive, -negative], -1)
    expected = torch.nn.functional.cross_entropy(logits[0], torch.zeros(2, dtype=torch.int64), reduction="none")
    torch.testing.assert_close(contrastive_loss(positive, negative)[0], expected)


def test_a_released_checkpoint_is_scored(ired, schedule, tmp_path):
    names = [key.split("/")[1] for key in ired if key.startswith("weights/")]
    torch.save({"model": {f"model.ebm.{name}": ired[f"weights/{name}"] for name in names}}, tmp_path / "model-1.pt")
    weights = torch.load(tmp_path / "model-1.pt", map_location="cpu", weights_only=True)["model"]
    solver = anm.Solver.from_energy(anm.EnergyMLP.from_ired(weights), test_problems=20, device="cpu")
    answers = [x0 for _, x0 in solver.answers(ired["A"][0], ired["sample/x_T"][0])]
    agrees(torch.cat(answers, 1) * schedule.sqrt_alpha_bar[0], ired["sample/x0"])
    assert solver.solve(ired["A"][0], landscape_steps=5).shape == (1, 16, 4, 4)
    assert anm.evaluate(solver).results["same"]["mse"][0] > 0


def test_wrong_weights_are_refused_by_name(ired):
    weights = {key.split("/")[1]: value for key, value in ired.items() if key.startswith("weights/")}
    with pytest.raises(ValueError, match="fc3.bias: missing"):
        anm.EnergyMLP.from_ired({name: value for name, value in weights.items() if name != "fc3.bias"})
    with pytest.raises(ValueError, match=r"fc2.weight: must be \(512, 512\)"):
        anm.EnergyMLP.from_ired(weights | {"fc2.weight": weights["fc2.weight"][:100]})
