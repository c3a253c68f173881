"""Strategies: functions that make negatives, all of one signature, registered with `@miner`.

`context`: the input of every strategy. `simple`: negatives without a search. `adversarial_search`: negatives from a
search of the energy. `calibration`: a search of adapted hardness. `model_answers`: answers that the model gives.
`problem_pool`: a search that goes on over many steps. `langevin_dynamics`: descent with noise. `mixtures`: several
strategies in one batch.
"""

from anm.miners import (  # noqa: F401  they register strategies
    adversarial_search,
    calibration,
    langevin_dynamics,
    mixtures,
    model_answers,
    problem_pool,
    simple,
)
from anm.miners.context import Miner, MiningContext, mine_negative

__all__ = ["Miner", "MiningContext", "mine_negative"]
