"""What strategies keep between steps: saved in checkpoints, and the seed's own."""

import pytest
import torch
from tiny import same_bits, silent_train, tiny

from anm.training import checkpoints
from anm.training.losses import row_losses
from anm.training.state import TrainingState
from anm.training.step import draw_batch, training_step

STATEFUL = [
    {"strategy": "replay", "replay_size": 30},
    {"strategy": "calibrated"},
    {"strategy": "pool", "pool_size": 3},
    {"strategy": "adversarial", "contrast_scale": "gap"},
]


@pytest.mark.parametrize("settings", STATEFUL)
def test_a_strategy_s_state_survives_a_checkpoint(settings, tmp_path):
    params = tiny(tmp_path / "broken", **settings)
    whole, training = silent_train(tiny(tmp_path / "whole", **settings)), TrainingState(params)
    for _ in range(5):
        training_step(training)
    checkpoints.save(params, training.step, training.checkpoint())
    resumed = silent_train(params)
    assert resumed.timing["resumed"] == 1 and same_bits(whole.model.state_dict(), resumed.model.state_dict())
    state, expected = (
        checkpoints.read_checkpoint(next((tmp_path / folder).rglob("step-000000012.pt")))["miner"]
        for folder in ("broken", "whole")
    )
    assert same_bits(state, expected)
    if settings["strategy"] == "replay":
        assert state["replay/buffer"].shape == (2, 30, 4, 4) and int(state["replay/next"]) == 12 * 8 % 30


@pytest.mark.parametrize("settings", STATEFUL)
def test_a_seed_s_state_does_not_depend_on_its_stack(settings, tmp_path):
    """With constant weights, which training would change by the rounding of their gradients."""
    rows = {}
    for seeds in ("2", "0-3"):
        training = TrainingState(tiny(tmp_path, seeds=seeds, **settings))
        for _ in range(5):
            context, eps = draw_batch(training)
            rows[seeds] = row_losses(context.landscape, context, eps, training.strategy)
    for name, alone in rows["2"].items():
        torch.testing.assert_close(rows["0-3"][name][2], alone[0], rtol=1e-3, atol=1e-4)
