"""Synthetic comparisons at equal compute: a folder with comparison.yaml and its executed notebooks.

from comparisons import write_comparison
"""

from pathlib import Path

import numpy as np
import yaml
from records import make_record, write_notebook

from anm.analysis.equal_compute import ComparisonResults, gather_comparison
from anm.params import parse_seeds
from anm.records.problem_errors import encode
from anm.study.comparison import read_comparison_file

BASELINE_FLOPS, PROBLEMS = 1000, 20
SETTINGS = {"schedule": "wsd", "test_set": 1, "test_problems": PROBLEMS, "evaluation": "scores", "seeds": "0-9"}
REGIMES = {
    "inverse-4": {"task": "inverse", "n": 4, "answer_bound": 10, "budget_steps": 400},
    "inverse-6": {"task": "inverse", "n": 6, "answer_bound": 10, "budget_steps": 400},
    "inverse-4-wide": {
        "task": "inverse",
        "n": 4,
        "answer_bound": 10,
        "width": 1024,
        "budget_steps": 400,
        "arms": ["none", "adversarial"],
    },
    "inverse-20": {"task": "inverse", "n": 20, "budget_steps": 400, "arms": ["none"]},
}
ARMS = {
    "none": {},
    "random": {},
    "adversarial": {},
    "one-step-denoising": {"strategy": "one_step", "negative_loss": "denoising", "negative_share": 0.25},
    "any-noise": {"strategy": "none", "least_noise": 0},
}
COSTS = {"none": 1.0, "random": 1.8, "adversarial": 2.5, "one-step-denoising": 1.3, "any-noise": 1.0}
LEVELS = {"inverse-4": 0.004, "inverse-6": 0.006, "inverse-4-wide": 0.003, "inverse-20": 0.0095}


def write_comparison(folder: Path, factors=None, regimes=None, arms=None, levels=None, skip=()) -> ComparisonResults:
    """Write a comparison whose arms have known error ratios at the budget; its results.

    factors: (regime, arm) or arm -> ratio to `none`; 1 by default. levels: regime -> the error of `none` at the
    budget, which falls with the root of compute. skip: (regime, arm) without a notebook.
    """
    regimes, arms, levels, factors = regimes or REGIMES, arms or ARMS, LEVELS | (levels or {}), factors or {}
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump({"settings": SETTINGS, "regimes": regimes, "arms": arms}, sort_keys=False)
    (folder / "comparison.yaml").write_text(text)
    definition = read_comparison_file(folder / "comparison.yaml")
    for place, (regime, arm) in enumerate(definition.cells()):
        if (regime, arm) not in skip:
            factor = factors.get((regime, arm), factors.get(arm, 1.0))
            record = comparison_record(definition, regime, arm, factor * levels.get(regime, 0.004), place)
            write_notebook(folder / f"{regime}--{arm}.ipynb", record)
    return gather_comparison(folder)


def comparison_record(definition, regime: str, arm: str, level: float, stream: int = 0, noise: float = 0.03) -> dict:
    """The record of one arm whose error at the budget is about `level`."""
    params, cost = definition.params(regime, arm), COSTS.get(arm, 2.0)
    seeds, budget = parse_seeds(params.seeds), definition.budget(regime)
    random = np.random.default_rng(stream)
    shared = np.exp(0.2 * np.random.default_rng(0).standard_normal(100))[list(seeds)]
    own = np.exp(noise * random.standard_normal(len(seeds)))
    points = []
    for share in params.fractions:
        steps = round(share * params.budget_steps / cost)
        means = level * (steps * cost / budget) ** -0.5 * shared * own
        points.append(point(share, steps, cost, means, random, last=share == 1))
    settings = {name: value for name, value in params.resolved().items() if name not in ("strategy", "seeds", "n")}
    record = make_record(params.strategy, seeds=seeds, n=params.n, mse=points[-1]["same"]["mse"], **settings)
    compute = {
        "step_flops": round(cost * BASELINE_FLOPS),
        "baseline_flops": BASELINE_FLOPS,
        "steps": points[-1]["steps"],
    }
    return record | {"compute": compute, "results": record["results"] | {"budgets": points}}


def point(share: float, steps: int, cost: float, means: np.ndarray, random, last: bool) -> dict:
    """A budget point with these means per seed; `harder` is scored at the last one alone."""
    problems = np.exp(0.3 * random.standard_normal((len(means), PROBLEMS)))
    errors = means[:, None] * problems / problems.mean(1, keepdims=True)
    same = {"mse": means.tolist(), "scaled": (0.97 * means).tolist(), "scale": [1.03] * len(means)}
    same["errors"] = encode(errors)
    harder = same | {"mse": (10 * means).tolist(), "scaled": (9 * means).tolist(), "errors": encode(10 * errors)}
    entry = {"share": share, "steps": steps, "flops": steps * round(cost * BASELINE_FLOPS), "problems": PROBLEMS}
    return entry | {"same": same} | ({"harder": harder} if last else {})
