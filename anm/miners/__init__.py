"""Strategies: functions that make negatives, all of one signature, registered with `@miner`.

`context`: the input of every strategy. `simple`: negatives without a search. `adversarial_search`: negatives from a
search of the energy. `langevin_dynamics`: descent with noise. `mixtures`: several strategies in one batch.
"""

from anm.miners import adversarial_search, langevin_dynamics, mixtures, simple  # noqa: F401  they register strategies
from anm.miners.context import Miner, MiningContext, mine_negative

__all__ = ["Miner", "MiningContext", "mine_negative"]
