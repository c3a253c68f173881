"""Published results on matrix inversion (n = 20), with their source."""

from typing import NamedTuple

import numpy as np


class Published(NamedTuple):
    """A published MSE; NaN where none is given. No source states an uncertainty."""

    source: str
    table: str
    method: str
    mse_same: float
    mse_harder: float


IRED = "Du, Mao, Tenenbaum 2024, Learning Iterative Reasoning through Energy Diffusion, arXiv 2406.11179"
PRIOR = "the prior study of mining, github.com/mdkrasnow/research-repo, projects/archive/ired"
PUBLISHED = (
    Published(IRED, "1", "Feedforward", 0.0112, 0.2150),
    Published(IRED, "1", "Recurrent", 0.0109, 0.2123),
    Published(IRED, "1", "Programmatic", 0.0124, 0.2209),
    Published(IRED, "1", "Diffusion", 0.0115, 0.2132),
    Published(IRED, "1", "IREM", 0.0108, 0.2083),
    Published(IRED, "1", "IRED", 0.0095, 0.2063),
    Published(IRED, "2", "IRED, 10 optimisation steps", 0.0096, 0.2110),
    Published(IRED, "2", "IRED, 20 optimisation steps", 0.0096, 0.2100),
    Published(IRED, "2", "IRED, 30 optimisation steps", 0.0096, 0.2090),
    Published(IRED, "2", "IRED, 40 optimisation steps", 0.0095, 0.2063),
    Published(IRED, "3", "IRED without contrastive shaping", 0.0097, 0.2113),
    Published(PRIOR, "10 seeds, 100,000 steps", "none", 0.009692, np.nan),
    Published(PRIOR, "10 seeds, 100,000 steps", "random", 0.009731, np.nan),
    Published(PRIOR, "10 seeds, 100,000 steps", "adversarial", 0.009777, np.nan),
)
# The best published network for inversion
BEST = next(p for p in PUBLISHED if (p.source, p.table, p.method) == (IRED, "1", "IRED"))
