"""What one run shows and what it does not, in words, for the end of the training notebook."""

import textwrap

import numpy as np

from anm.analysis.statistics import MIN_SEEDS
from anm.evaluation.scores import Evaluation
from anm.report.formatting import counted, number, percent
from anm.report.run_figures import reference_errors
from anm.solvers.solver import Solver
from anm.study.plan import BASELINE

NEAR, FAR = 1.1, 0.5  # times the best answer that is linear in the problem
MOST = 0.5  # a share above this is most
SHARES = {  # metrics of negatives in the last window: name -> (how a share is written, what a large one means)
    "false": ("{} of the negatives are right answers", "the loss raises the energy of right answers"),
    "clipped": ("{} reach the answer bound", "such negatives are nowhere near an answer"),
}


def conclusion(solver: Solver, evaluation: Evaluation) -> str:
    """The sentences of `shown` and `not_shown` as plain text."""
    parts = {"This run shows:": shown(solver, evaluation), "It does not show:": not_shown(solver)}
    fill = {"width": 110, "initial_indent": "- ", "subsequent_indent": "  "}
    return "\n".join(line for head, said in parts.items() for line in (head, *(textwrap.fill(t, **fill) for t in said)))


def shown(solver: Solver, evaluation: Evaluation) -> list[str]:
    """The errors on both difficulties against the references, and what the negatives were."""
    params, task = solver.params, solver.params.task_object()
    references, said = reference_errors(task, params.n), []
    for split in task.splits:
        errors = np.asarray(evaluation.results[split]["mse"], float)
        reference = references.index[-1]  # the best least-squares answer, or else the constant
        ratio = errors.mean() / references.loc[reference, split]
        spread = f" ({number(errors.min())} to {number(errors.max())} over seeds)" if len(errors) > 1 else ""
        text = f"On {split}, {params.strategy} has a mean error of {number(errors.mean())}{spread}, {number(ratio)} "
        text += f"times that of the reference {reference}."
        said.append(f"{text} {judged(ratio)}" if split == "same" else text)
    return said + negatives(solver)


def judged(ratio: float) -> str:
    """What an error on `same`, over that of the best linear reference, says."""
    if ratio > NEAR:
        return "The network has not yet learnt what this reference knows: train longer."
    if ratio > FAR:
        return "It is near this reference: differences between strategies say little here."
    return "It is well below this reference: strategies can be compared here, unless the limit is near."


def negatives(solver: Solver) -> list[str]:
    """What the negatives of the last window of steps were; empty without any."""
    curves, said = solver.history["by_level"], []
    contrast = last_mean(solver.history["contrast"])
    if np.isfinite(contrast):
        said.append(
            f"At the end the contrastive loss is {number(contrast)}; near 0, the energy separates all negatives."
        )
    for name, (text, meaning) in SHARES.items():
        share = last_mean(curves[name])
        if np.isfinite(share):
            said.append(f"{text.format(percent(share, sign=False))}{f': {meaning}' * (share > MOST)}.")
    accepted = last_mean(curves["accepted"])
    if np.isfinite(accepted):
        said.append(f"{percent(accepted, sign=False)} of the mining steps lowered the energy.")
    return [" ".join(said)] if said else []


def last_mean(curve: list) -> float:
    """The mean of the last entry of a curve over seeds or levels; NaN where it has none."""
    values = np.array(curve[-1] if curve else [], float)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def not_shown(solver: Solver) -> list[str]:
    """What a single run leaves open."""
    params = solver.params
    other = "a strategy with negatives" if params.strategy == BASELINE else f"{BASELINE} after the same compute"
    seeds = len(params.seed_list)
    said = [
        f"Whether negatives help. For that, compare it with {other}, seed by seed: `make report`, or docs/extend.md."
    ]
    if seeds < MIN_SEEDS:
        said.append(f"Anything that is certain: it has {counted(seeds, 'seed')}, and a claim takes {MIN_SEEDS}.")
    said.append("Anything about other sizes, tasks, networks or longer trainings.")
    return said
