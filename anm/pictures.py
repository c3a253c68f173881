"""One run in pictures: problems, negatives, learning, answers. What the training notebook shows."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from anm.axes import reference_lines
from anm.evaluate import Evaluation
from anm.landscape import Solver
from anm.matrices import FIT_STREAM, OFFSETS, frozen_problems
from anm.miners import Mine, mine_negative
from anm.params import chosen
from anm.references import reference_table
from anm.streams import Streams
from anm.tiles import SIGNED

REFERENCE_PROBLEMS = 1000  # enough for a line in a picture


def grid(rows: list[tuple[str, list[tuple[str, Tensor]]]], shared: bool = True):
    """A grid of matrices as pictures, one labelled row each, with a colour scale to the row (`shared`) or each its own.

    Returns its axes.
    """
    columns = max(len(matrices) for _, matrices in rows)
    figure, axes = plt.subplots(
        len(rows), columns, squeeze=False, figsize=(2.6 * columns, 2.5 * len(rows)), layout="constrained"
    )
    for row_axes, (label, matrices) in zip(axes, rows):
        largest = [float(np.nanmax(np.abs(np.asarray(m)))) or 1.0 for _, m in matrices]
        for ax, (title, matrix), scale in zip(row_axes, matrices, [max(largest)] * len(largest) if shared else largest):
            image = ax.imshow(np.asarray(matrix), cmap=SIGNED, vmin=-scale, vmax=scale, interpolation="nearest")
            ax.set_title(title, fontsize=9)
            ax.set(xticks=[], yticks=[])
            if not shared:
                figure.colorbar(image, ax=ax, shrink=0.8)
        row_axes[0].set_ylabel(label, fontsize=9)
        for ax in row_axes[len(matrices) :]:
            ax.set_axis_off()
        if shared:
            figure.colorbar(image, ax=row_axes[: len(matrices)], shrink=0.8)
    return axes


def problems(n: int):
    """A frozen problem of each difficulty beside its inverse."""
    rows = []
    for split, offset in OFFSETS.items():
        test = frozen_problems(n, offset, 1)
        pair = [(f"A, condition {test.condition[0]:.0f}", test.A[0]), ("its inverse X", test.X[0])]
        rows.append((f"{split} (c = {offset})", pair))
    return grid(rows, shared=False)


@torch.no_grad()
def negatives(solver: Solver):
    """An answer and the negatives that the solver's strategy makes of it at a low, a middle and the top level.

    They are the even rows of a batch whose odd rows are other problems, for strategies that make use of those.
    """
    params, T, stack = solver.params, len(solver.schedule), solver.model.stack
    levels = sorted({0, T // 2, T - 1})
    test = frozen_problems(params.n, OFFSETS["same"], 1 + len(levels), FIT_STREAM)
    rows = [row for other in range(1, 1 + len(levels)) for row in (0, other)]
    A, x0 = (part[rows].to(solver.device).expand(stack, -1, -1, -1) for part in (test.A, test.X))
    t = torch.tensor(levels, device=solver.device).repeat_interleave(2).expand(stack, -1)
    streams = Streams(params.seed_list, solver.device)
    landscape = solver.model.landscape(solver.model.encode(A), t)
    mine = Mine(A, x0, t, landscape, solver.schedule, params, streams, {})
    negative = mine_negative(chosen("strategy", params.strategy), mine)
    shown = [("the answer", test.X[0])]
    if negative is not None:
        energy, true_energy = mine.energy(negative), mine.energy(x0)
        shown += [
            (
                f"negative, level {level}\nenergy {energy[0, 2 * k]:.3g} (answer {true_energy[0, 2 * k]:.3g})",
                negative[0, 2 * k].cpu(),
            )
            for k, level in enumerate(levels)
        ]
    return grid([(params.strategy, shown)])


def learning(solver: Solver, ax=None):
    """MSE over training steps, one line a seed, with the reference lines. Returns its axes."""
    ax = ax or plt.subplots(figsize=(7, 3.6), layout="constrained")[1]
    history = solver.history
    for seed, line in zip(solver.params.seed_list, np.transpose(history["mse_same"])):
        ax.plot(history["mse_step"], line, marker="o", markersize=3, label=f"seed {seed}")
    table = reference_table(solver.params.n, REFERENCE_PROBLEMS).set_index("reference")["mse_same"]
    ax.set(yscale="log", xlabel="training step", ylabel="MSE, same")
    reference_lines(ax, table[["constant", "affine"]].to_dict())
    if len(solver.params.seed_list) <= 10:
        ax.legend(fontsize=8, ncols=2)
    return ax


def answers(solver: Solver):
    """The easiest, the median and the hardest (by condition number) of some test problems, answered by the first seed."""
    test = frozen_problems(solver.params.n, OFFSETS["same"], min(solver.params.test_problems, 200))
    order = np.argsort(test.condition)
    rows = []
    for k in (order[0], order[len(order) // 2], order[-1]):
        x0 = solver.solve(test.A[k : k + 1])[0, 0]
        error = x0 - test.X[k]
        shown = [("exact inverse", test.X[k]), ("answer", x0), (f"error, MSE {error.square().mean():.2g}", error)]
        rows.append((f"condition {test.condition[k]:.0f}", shown))
    return grid(rows)


def scores(solver: Solver, evaluation: Evaluation) -> pd.DataFrame:
    """A table of the run's scores: a row a seed, MSE and residual for both difficulties."""
    results = evaluation.results
    table = {(split, name): results[split][name] for split in OFFSETS for name in ("mse", "mse_se", "residual")}
    return pd.DataFrame(table, index=pd.Index(solver.params.seed_list, name="seed"))
