"""What an energy makes of right answers with less noise than it was trained on, as they are on the solver's way.

    python -m anm.analysis.noise_probe params/comparisons/equal-compute.yaml inverse-4 none any-noise

trains arms of a regime on pilot seeds and prints a table in Markdown: docs/sampler.md.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from anm.params import RunParams
from anm.solvers.solver import Solver
from anm.study.comparison import read_comparison_file
from anm.study.tuning import fitting_problems, trained
from anm.tasks.frozen import FrozenSet

SEEDS = "1000-1005"
LEVELS, NOISE = (1, 3, 5, 7), (0.0, 0.5, 1.0)


def probe_noise(solver: Solver, problems: FrozenSet, level: int, noise: float) -> tuple[float, float, float]:
    """The estimate of x0 at x_t = sqrt(alpha_bar) x0 + noise sqrt(1 - alpha_bar) eps, for right answers x0.

    Gives (error, scale, scaled): the geometric mean over seeds of its mean squared error; the mean over seeds of the
    scalar that lowers this error most, above 1 where estimates are too small; the error after it.
    """
    stack, right = len(solver.params.seed_list), problems.answer
    generator = torch.Generator().manual_seed(0)
    eps = torch.randn((stack, *right.shape), generator=generator)
    x0, t = right.expand_as(eps), torch.full(eps.shape[:2], level)
    x_t = solver.schedule.noised(x0, t, noise * eps)
    encoded = solver.model.encode(problems.problem.expand(stack, *problems.problem.shape))
    _, eps_hat = solver.model.landscape(encoded, t)(x_t)
    bound = solver.params.answer_bound
    return scaled_errors(solver.schedule.denoised(x_t, t, eps_hat).clamp(-bound, bound), x0)


def scaled_errors(estimate: Tensor, right: Tensor) -> tuple[float, float, float]:
    """(error, scale, scaled) of estimates (S, B, *shape), as in `probe_noise`."""
    estimate, right = (tensor.detach().double().flatten(1) for tensor in (estimate, right))
    scale = (estimate * right).sum(1) / estimate.square().sum(1)
    errors = [(factor * estimate - right).square().mean(1) for factor in (1, scale[:, None])]
    error, scaled = (float(each.log().mean().exp()) for each in errors)
    return error, float(scale.mean()), scaled


def probe_table(solvers: dict[str, Solver], problems: FrozenSet) -> str:
    """Arms and noise levels by strengths of noise, in Markdown: error, and scale in brackets."""
    lines = ["| arm | level | " + " | ".join(f"{noise:g} of the noise" for noise in NOISE) + " |"]
    lines.append("|---" * (2 + len(NOISE)) + "|")
    for arm, solver in solvers.items():
        for level in LEVELS:
            found = [probe_noise(solver, problems, level, noise) for noise in NOISE]
            cells = [f"{error:.3g} ({scale:.3f})" for error, scale, _ in found]
            lines.append("| " + " | ".join([arm, str(level), *cells]) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Print the table of some arms of a regime."""
    parser = argparse.ArgumentParser(prog="python -m anm.analysis.noise_probe", description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="the comparison's YAML file")
    parser.add_argument("regime", help="one of its regimes")
    parser.add_argument("arms", nargs="+", help="some of its arms")
    options = parser.parse_args(arguments)
    comparison, solvers = read_comparison_file(options.file), {}
    for arm in options.arms:
        budget = comparison.budget(options.regime)
        usual = {"budget_steps": budget, "budget_points": "1", "seeds": SEEDS}
        solvers[arm] = trained(RunParams(**comparison.given(options.regime, arm) | usual))
    print(probe_table(solvers, fitting_problems(next(iter(solvers.values())).params)))


if __name__ == "__main__":
    main()
