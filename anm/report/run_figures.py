"""Figures of one run for the training notebook: problems, negatives, learning, answers, scores."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from IPython.display import Markdown, display
from torch import Tensor

from anm.baselines.closed_form import closed_form_table
from anm.evaluation.scores import Evaluation
from anm.miners import MiningContext, mine_negative
from anm.params import RunParams
from anm.registry import resolve
from anm.report.matrix_plots import SIGNED
from anm.report.plot_helpers import reference_lines
from anm.report.plot_style import INK, MUTED
from anm.solvers.solver import Solver
from anm.tasks import Task, frozen_problems
from anm.tasks.frozen import FIT_STREAM
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


def problems(params: RunParams):
    """A frozen problem of each difficulty and its answer."""
    task, rows = params.task_object(), []
    for split, difficulty in task.splits.items():
        frozen = frozen_problems(task, params.n, difficulty, 1)
        condition = "" if frozen.condition is None else f", condition {frozen.condition[0]:.0f}"
        images = parts(frozen.problem[0], f"problem{condition}") + parts(frozen.answer[0], "answer")
        rows.append((f"{split} ({task.difficulty} = {difficulty})", images))
    axes = matrix_rows(rows, shared=False)
    for row, difficulty in zip(axes if task.picture == "graph" else (), task.splits.values()):
        draw_graph(row[0], frozen_problems(task, params.n, difficulty, 1).problem[0])
    return axes


def parts(tensor: Tensor, title: str) -> list[tuple[str, Tensor]]:
    """A problem or an answer as titled matrices: one, several, or a vector as a row."""
    if tensor.ndim <= 2:
        return [(title, tensor.reshape(-1, tensor.shape[-1]) if tensor.ndim else tensor.reshape(1, 1))]
    matrices = tensor.flatten(0, -3)
    return [(f"{title}, {place} of {len(matrices)}", matrix) for place, matrix in enumerate(matrices, 1)]


def draw_graph(ax, adjacency: Tensor) -> None:
    """The graph of an adjacency matrix (edges above 0) in the place of its picture: nodes on a circle."""
    title, label, nodes = ax.get_title(), ax.get_ylabel(), len(adjacency)
    ax.clear()
    angle = 2 * np.pi * np.arange(nodes) / nodes
    x, y = np.sin(angle), np.cos(angle)
    for i, j in np.argwhere(np.triu(np.asarray(adjacency) > 0, 1)):
        ax.plot(x[[i, j]], y[[i, j]], color=MUTED, linewidth=1.5, zorder=1)
    ax.scatter(x, y, s=120, color=INK, zorder=2)
    for node in range(nodes):
        ax.text(x[node], y[node], str(node), color="white", fontsize=7, ha="center", va="center", zorder=3)
    ax.set(aspect="equal", xticks=[], yticks=[])
    ax.set_title(title.replace("problem", "problem, as a graph"), fontsize=9)
    ax.set_ylabel(label, fontsize=9)
    ax.set_frame_on(False)


@torch.no_grad()
def negatives(solver: Solver):
    """An answer and the negatives that the strategy makes of it at the lowest, a middle and the top noise level.

    These are the even rows of a batch. The odd rows hold other problems, which some strategies use.
    """
    params, T, stack = solver.params, len(solver.schedule), solver.model.stack
    levels = sorted({0, T // 2, T - 1})
    task = params.task_object()
    frozen = frozen_problems(task, params.n, task.splits["same"], 1 + len(levels), FIT_STREAM)
    rows = [row for other in range(1, 1 + len(levels)) for row in (0, other)]
    problem, x0 = frozen.batch(rows, torch.empty(stack, device=solver.device))
    t = torch.tensor(levels, device=solver.device).repeat_interleave(2).expand(stack, -1)
    streams = RandomStreams(params.seed_list, solver.device)
    landscape = solver.model.landscape(solver.model.encode(problem), t)
    context = MiningContext(task, problem, x0, t, landscape, solver.schedule, params, streams, {}, model=solver.model)
    negative = mine_negative(resolve("strategy", params.strategy), context)
    images = parts(frozen.answer[0], "the answer")
    if negative is not None:
        energy, answer_energy = context.energy(negative)[0, ::2], context.energy(x0)[0, ::2]
        for level, matrix, e, e_answer in zip(levels, negative[0, ::2].cpu(), energy, answer_energy):
            images += parts(matrix, f"negative, level {level}\nenergy {e:.3g} (answer {e_answer:.3g})")
    return matrix_rows([(params.strategy, images)])


def learning_curve(solver: Solver, ax=None):
    """The error over training steps, one line per seed, with the reference lines. Returns its axes."""
    ax = ax or plt.subplots(figsize=(7, 3.6), layout="constrained")[1]
    steps = pd.Index(solver.history["mse_step"], name="training step")
    seeds = [f"seed {seed}" for seed in solver.params.seed_list]
    sns.lineplot(pd.DataFrame(solver.history["mse_same"], steps, seeds), ax=ax, markers=True, legend=len(seeds) <= 10)
    task = solver.params.task_object()
    ax.set(yscale="log", ylabel=f"{task.score}, same")
    return reference_lines(ax, reference_errors(task, solver.params.n)["same"].to_dict())


class LiveCurve:
    """The learning curve of a training, drawn again in place at each of its points.

    Use: `anm.train(params, watch=LiveCurve())`. An executed notebook keeps the last drawing.
    """

    def __init__(self):
        self.handle = display(Markdown("*The learning curve appears here.*"), display_id=True)

    def __call__(self, solver: Solver) -> None:
        figure = learning_curve(solver).figure
        if self.handle:  # None outside IPython
            self.handle.update(figure)
        plt.close(figure)


def reference_errors(task: Task, n: int) -> pd.DataFrame:
    """Errors on both difficulties of the constant answer and of the best least-squares answer."""
    table = closed_form_table(task, n, REFERENCE_PROBLEMS).set_index("reference")
    table = table.rename(columns={"mse_same": "same", "mse_harder": "harder"})
    linear = table[table["kind"] == "least squares"]["same"]
    return table.loc[["constant", *([linear.idxmin()] if len(linear) else [])], ["same", "harder"]]


def answers(solver: Solver):
    """Three test problems answered by the first seed: of the lowest, median and highest condition number, if any."""
    task, n = solver.params.task_object(), solver.params.n
    frozen = frozen_problems(task, n, task.splits["same"], min(solver.params.test_problems, 200))
    order = np.arange(len(frozen)) if frozen.condition is None else np.argsort(frozen.condition)
    rows = []
    for k in (order[0], order[len(order) // 2], order[-1]):
        x0 = solver.solve(frozen.problem[k : k + 1])[:1]
        problem, answer = frozen.batch(slice(k, k + 1), x0)
        error = task.error(problem, x0, answer).item()
        images = parts(frozen.answer[k], "right answer" if task.answers == "one" else "one right answer")
        difference = x0[0, 0] - frozen.answer[k]
        images += parts(x0[0, 0], "answer") + parts(difference, f"difference, {task.score} {error:.2g}")
        label = f"problem {k}" if frozen.condition is None else f"condition {frozen.condition[k]:.0f}"
        rows.append((label, images))
    return matrix_rows(rows)


def score_table(solver: Solver, evaluation: Evaluation) -> pd.DataFrame:
    """The run's scores, a row per seed, and below them those of answers without a trained network."""
    task, columns = solver.params.task_object(), {}
    for split in task.splits:
        scores = evaluation.results[split]
        columns |= {(split, task.score): scores["mse"], (split, "standard error"): scores["mse_se"]}
        columns |= {(split, "violation"): scores["residual"]} if scores["residual"] else {}
        columns |= {(split, name): values for name, values in scores.get("other", {}).items()}
    seeds = pd.DataFrame(columns, index=pd.Index([f"seed {seed}" for seed in solver.params.seed_list]))
    references = reference_errors(task, solver.params.n)
    references.columns = pd.MultiIndex.from_product([references.columns, [task.score]])
    table = pd.concat([seeds, references]).reindex(columns=seeds.columns)
    return table.astype(object).where(table.notna(), "")  # a reference has no standard error
