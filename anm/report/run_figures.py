"""Figures of one run for the training notebook: problems, negatives, learning, answers, scores."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from torch import Tensor

from anm.baselines.closed_form import closed_form_table
from anm.evaluation.scores import Evaluation
from anm.miners import MiningContext, mine_negative
from anm.registry import resolve
from anm.report.matrix_plots import SIGNED
from anm.report.plot_helpers import reference_lines
from anm.solvers.solver import Solver
from anm.tasks.frozen import FIT_STREAM, frozen_problems
from anm.tasks.inverse import OFFSETS
from anm.utils.random_streams import RandomStreams

REFERENCE_PROBLEMS = 1000  # enough for a line in a figure


def matrix_rows(rows: list[tuple[str, list[tuple[str, Tensor]]]], shared: bool = True):
    """Axes of heat maps of matrices: a labelled row each, with one colour scale a row (shared) or a matrix.

    rows: (label, matrices with their titles).
    """
    columns = max(len(matrices) for _, matrices in rows)
    size = (2.6 * columns, 2.5 * len(rows))
    figure, axes = plt.subplots(len(rows), columns, squeeze=False, figsize=size, layout="constrained")
    for row_axes, (label, matrices) in zip(axes, rows):
        for ax in row_axes[len(matrices) :]:
            ax.set_axis_off()
        drawn = list(zip(row_axes, matrices))
        for group in [drawn] if shared else [[one] for one in drawn]:
            scale = max(float(np.nanmax(np.abs(np.asarray(matrix)))) or 1.0 for _, (_, matrix) in group)
            style = {"cmap": SIGNED, "vmin": -scale, "vmax": scale, "square": True, "cbar": False}
            for ax, (title, matrix) in group:
                sns.heatmap(np.asarray(matrix), ax=ax, xticklabels=False, yticklabels=False, **style)
                ax.set_title(title, fontsize=9)
            figure.colorbar(ax.collections[0], ax=[ax for ax, _ in group], shrink=0.8)
        row_axes[0].set_ylabel(label, fontsize=9)
    return axes


def problems(n: int):
    """A frozen problem of each difficulty and its inverse."""
    rows = []
    for split, offset in OFFSETS.items():
        test = frozen_problems(n, offset, 1)
        pair = [(f"A, condition {test.condition[0]:.0f}", test.A[0]), ("its inverse X", test.X[0])]
        rows.append((f"{split} (c = {offset})", pair))
    return matrix_rows(rows, shared=False)


@torch.no_grad()
def negatives(solver: Solver):
    """An answer and the negatives that the strategy makes of it at the lowest, a middle and the top noise level.

    These are the even rows of a batch. The odd rows hold other problems, which some strategies use.
    """
    params, T, stack = solver.params, len(solver.schedule), solver.model.stack
    levels = sorted({0, T // 2, T - 1})
    test = frozen_problems(params.n, OFFSETS["same"], 1 + len(levels), FIT_STREAM)
    rows = [row for other in range(1, 1 + len(levels)) for row in (0, other)]
    A, x0 = (part[rows].to(solver.device).expand(stack, -1, -1, -1) for part in (test.A, test.X))
    t = torch.tensor(levels, device=solver.device).repeat_interleave(2).expand(stack, -1)
    streams = RandomStreams(params.seed_list, solver.device)
    landscape = solver.model.landscape(solver.model.encode(A), t)
    context = MiningContext(A, x0, t, landscape, solver.schedule, params, streams, {})
    negative = mine_negative(resolve("strategy", params.strategy), context)
    images = [("the answer", test.X[0])]
    if negative is not None:
        energy, answer_energy = context.energy(negative)[0, ::2], context.energy(x0)[0, ::2]
        for level, matrix, e, e_answer in zip(levels, negative[0, ::2].cpu(), energy, answer_energy):
            images.append((f"negative, level {level}\nenergy {e:.3g} (answer {e_answer:.3g})", matrix))
    return matrix_rows([(params.strategy, images)])


def learning_curve(solver: Solver, ax=None):
    """MSE over training steps, one line a seed, with the reference lines. Returns its axes."""
    ax = ax or plt.subplots(figsize=(7, 3.6), layout="constrained")[1]
    steps = pd.Index(solver.history["mse_step"], name="training step")
    seeds = [f"seed {seed}" for seed in solver.params.seed_list]
    sns.lineplot(pd.DataFrame(solver.history["mse_same"], steps, seeds), ax=ax, markers=True, legend=len(seeds) <= 10)
    table = closed_form_table(solver.params.n, REFERENCE_PROBLEMS).set_index("reference")["mse_same"]
    ax.set(yscale="log", ylabel="MSE, same")
    return reference_lines(ax, table[["constant", "affine"]].to_dict())


def answers(solver: Solver):
    """Test problems of the lowest, the median and the highest condition number, answered by the first seed."""
    test = frozen_problems(solver.params.n, OFFSETS["same"], min(solver.params.test_problems, 200))
    order = np.argsort(test.condition)
    rows = []
    for k in (order[0], order[len(order) // 2], order[-1]):
        x0 = solver.solve(test.A[k : k + 1])[0, 0]
        error = x0 - test.X[k]
        images = [("exact inverse", test.X[k]), ("answer", x0), (f"error, MSE {error.square().mean():.2g}", error)]
        rows.append((f"condition {test.condition[k]:.0f}", images))
    return matrix_rows(rows)


def score_table(solver: Solver, evaluation: Evaluation) -> pd.DataFrame:
    """The run's scores: a row per seed, with MSE and residual for both difficulties."""
    results = evaluation.results
    table = {(split, name): results[split][name] for split in OFFSETS for name in ("mse", "mse_se", "residual")}
    return pd.DataFrame(table, index=pd.Index(solver.params.seed_list, name="seed"))
