"""Where negatives come from: a registry of strategies, one small function each, all of one signature.

`base` has what they share. `drawn` takes negatives as they come, `searched` looks for ones of low energy, `sampled`
walks at random down the energy, `mixed` combines others.
"""

from anm.miners.base import COMMON, OWN, Mine, Miner, mine_negative, miner, unused
from anm.miners.drawn import conditional_nce, in_batch, none, random, random_matched
from anm.miners.mixed import mixture
from anm.miners.sampled import langevin, replay
from anm.miners.searched import adversarial, ascent, hardest_of_k, pgd

__all__ = [
    "COMMON",
    "OWN",
    "Mine",
    "Miner",
    "adversarial",
    "ascent",
    "conditional_nce",
    "hardest_of_k",
    "in_batch",
    "langevin",
    "mine_negative",
    "miner",
    "mixture",
    "none",
    "pgd",
    "random",
    "random_matched",
    "replay",
    "unused",
]
