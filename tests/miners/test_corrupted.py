"""IRED's negatives for discrete tasks: some entries of the answer set to -1."""

import pytest
import torch
from tiny import tiny

from anm.miners.simple import corrupted
from anm.training.state import TrainingState
from anm.training.step import draw_batch


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
def test_a_share_of_the_entries_is_minus_one_and_the_others_stay(share, tmp_path):
    params = tiny(tmp_path, task="connectivity", n=8, strategy="corrupted", batch_size=400, corruption_share=share)
    context, _ = draw_batch(TrainingState(params))
    negative = corrupted(context)
    changed = negative != context.x0
    assert (negative[changed] == -1).all() and set(negative.unique().tolist()) <= {-1.0, 1.0}
    yes = context.x0 > 0
    found, sigma = changed[yes].float().mean(), (share * (1 - share) / yes.sum()) ** 0.5
    assert abs(found - share) <= 5 * sigma and not changed[~yes].any()
    assert torch.equal(context.x0 == context.x0.mT, torch.ones_like(yes))
