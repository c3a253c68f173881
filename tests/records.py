"""Synthetic runs for tests: valid records, and executed notebooks with them.

from records import make_record, write_notebook
"""

import json
from pathlib import Path

import numpy as np

RECORD_TYPE = "application/vnd.anm.run+json"
LADDER = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
TYPICAL_MSE = {"none": 0.0100, "random": 0.0102, "adversarial": 0.0104}


def make_record(
    strategy="none",
    seeds=(0, 1, 2),
    n=4,
    energy="mlp",
    mse=None,
    mse_harder=None,
    problems=256,
    points=6,
    noise_levels=10,
    started="2025-01-02T03:04:05Z",
    **params,
):
    """A complete, valid record (schema 1), the same at every call; nothing in it was trained.

    mse, mse_harder: one value per seed, or None for values around 0.01 and 0.2 whose
    differences between strategies are a little larger than their spread over seeds.
    points: entries of the curves. params: further settings, e.g. train_steps=100.
    """
    seeds = tuple(seeds)
    draw = np.random.default_rng([len(strategy), len(energy), n, sum(map(ord, strategy))])
    settings = _params(strategy, energy, n, seeds, problems, noise_levels) | params
    same = _per_seed(mse, TYPICAL_MSE.get(strategy, 0.0103), seeds)
    harder = _per_seed(mse_harder, 20 * TYPICAL_MSE.get(strategy, 0.0103), seeds)
    return {
        "schema": 1,
        "params": settings,
        "provenance": _provenance(started, settings["train_steps"]),
        "results": _results(same, harder, problems) | _generalization(same, harder, energy, n) | _examples(draw, n),
        "curves": _curves(draw, strategy, len(seeds), points, noise_levels, settings["train_steps"], same),
        "landscape": _landscape(draw, len(seeds), noise_levels, same),
    }


def write_notebook(path, record=None, error=None, records=None):
    """Writes an executed notebook to `path` and returns the path.

    record: what its last code cell emits (None: `make_record()`).
    error: (name, message) of an error output in the cell before.
    records: how often the record is emitted; None: once, or not at all where there is an error.
    A killed kernel leaves `records=0`.
    """
    record = make_record() if record is None else record
    records = (0 if error else 1) if records is None else records
    cells = [
        _markdown("# One run"),
        _code("strategy = 'none'", [], tags=["parameters"]),
        _code("solver = anm.train(params)", [_stream("step 1\n")] + ([_error(*error)] if error else [])),
        _code("anm.emit_record(record)", [_mime(record) for _ in range(records)]),
    ]
    notebook = {
        "cells": cells,
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "papermill": {"exception": None, "parameters": {"strategy": "none"}, "version": "2.7.0"},
        },
    }
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index}"
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, indent=1))
    return path


def _params(strategy, energy, n, seeds, problems, noise_levels):
    return {
        "strategy": strategy,
        "energy": energy,
        "task": "inverse",
        "n": n,
        "width": 512,
        "completion_rank": 10,
        "noise_levels": noise_levels,
        "train_steps": 500,
        "budget_steps": 0,
        "budget_points": "1",
        "batch_size": 32,
        "learning_rate": 1e-4,
        "schedule": "constant",
        "least_noise": 1.0,
        "seeds": ",".join(map(str, seeds)),
        "mining_opt_steps": 2,
        "mining_noise_scale": 3.0,
        "contrastive_weight": 0.5,
        "negative_loss": "contrastive",
        "negative_share": 1.0,
        "contrastive_warmup": 0,
        "contrast_noise": "own",
        "contrast_scale": "none",
        "mining_levels": "all",
        "false_negative_residual": 0.0,
        "target_hardness": 0.25,
        "candidates": 8,
        "ball_radius": 0.1,
        "langevin_noise": 1.0,
        "replay_size": 10_000,
        "replay_fresh": 0.05,
        "pool_size": 100,
        "corruption_share": 0.05,
        "mixture": "adversarial:0.5,random:0.5",
        "landscape_steps": 5,
        "answer_bound": 2.0,
        "test_problems": problems,
        "evaluation": "full",
        "test_set": 0,
        "device": "cpu",
        "precision": "float32",
        "compile": "auto",
        "checkpoint_dir": "checkpoints",
        "resume": True,
    }


def _provenance(started, train_steps):
    return {
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "git_dirty": False,
        "anm": "0.1.0",
        "python": "3.11.7",
        "torch": "2.13.0",
        "device": "cpu",
        "machine": {"host": "test-host", "cpu": "Test CPU", "cores": 2, "gpu": None},
        "started": started,
        "seconds": 12.5,
        "train_seconds": 10.0,
        "seconds_per_step": 10.0 / train_steps,
        "evaluate_seconds": 2.0,
        "resumed": 0,
        "peak_memory_mib": 512.0,
        "compiled": False,
    }


def _per_seed(given, typical, seeds):
    """One score per seed: what was given, or `typical` plus 1 % that depends on the seed alone."""
    if given is not None:
        return [float(value) for value in given]
    return [typical * (1 + 0.01 * float(np.sin(7.0 * (seed + 1)))) for seed in seeds]


def _results(same, harder, problems):
    return {
        "same": _split(0.5, same, problems),
        "harder": _split(0.1, harder, problems),
        "ladder": [
            {"offset": c, "problems": problems, "mse": [m * 0.5 / c for m in same], "mse_se": [m / 50 for m in same]}
            for c in LADDER
        ],
        "landscape_steps": [
            {
                "steps": k,
                "problems": problems,
                "same": [m * (1 + 1 / (k + 1)) for m in same],
                "harder": [m * (1 + 1 / (k + 1)) for m in harder],
            }
            for k in (0, 1, 2, 3, 4, 5, 10, 20)
        ],
    }


def _generalization(same, harder, energy, n):
    """Errors that fall with refinement; matrix energies also have costs in products, and other sizes."""
    matrices = energy != "mlp"

    def thinking(landscape_steps):
        return [
            {
                "landscape_steps": landscape_steps,
                "refine_steps": steps,
                "problems": 12,
                "products": 10 * landscape_steps + 4 * steps + 8 if matrices else None,
                "same": [m / (1 + steps) for m in same],
                "harder": [m / (1 + steps) for m in harder],
                "hardest": [3 * m / (1 + steps) for m in harder],
            }
            for steps in (0, 2, 100)
        ]

    sizes = (
        [
            {
                "n": times * n,
                "split": split,
                "problems": 12,
                "refine_steps": 20,
                "mse": [m * times for m in mse],
                "mse_refined": [m * times / 10 for m in mse],
            }
            for times in (1, 2, 4)
            for split, mse in (("same", same), ("harder", harder))
        ]
        if matrices
        else []
    )
    spectra = [
        {
            "spectrum": name,
            "problems": 12,
            "condition": 10.0**place,
            "refine_steps": 20,
            "relative": list(same),
            "relative_refined": [m / 10 for m in same],
        }
        for place, name in enumerate(("wishart", "log_uniform"), 1)
    ]
    return {"thinking": thinking(5), "thinking_only": thinking(0), "sizes": sizes, "spectra": spectra}


def _examples(draw, n):
    """Example matrices, as in real records of small n."""
    if not 0 < n <= 8:
        return {}
    exact = np.eye(n) * 2
    problem = {"split": "same", "problem": 3, "condition": 77.0, "exact": exact.tolist()}
    places = [(None, 0), *((level, 0) for level in range(9, -1, -1)), *((0, steps) for steps in (1, 2, 5, 10))]
    moments = [
        {"level": level, "refine_steps": steps, "error": (draw.standard_normal((n, n)) / 4**place).tolist()}
        for place, (level, steps) in enumerate(places)
    ]
    worst = [problem | {"split": "harder", "error": (draw.standard_normal((n, n)) / 10).tolist()} for _ in range(3)]
    return {"forming": problem | {"moments": moments}, "worst": worst}


def _split(offset, mse, problems):
    shares = (0.5, 1.0, 1.5)
    return {
        "offset": offset,
        "problems": problems,
        "mse": list(mse),
        "mse_se": [m / 50 for m in mse],
        "residual": [30 * m for m in mse],
        "by_condition": {
            "edges": [1.0, 50.0, 200.0, 5000.0],
            "problems": [problems // 4, problems // 2, problems // 4],
            "mse": [[share * m for m in mse] for share in shares],
        },
    }


def _curves(draw, strategy, stack, points, levels, train_steps, same):
    decay = np.linspace(1.0, 0.2, points)
    per_seed = decay[:, None] * (1 + 0.02 * draw.standard_normal((points, stack)))
    per_level = decay[:, None] * (1 + np.arange(levels) / levels)
    mined = strategy != "none"
    by_level = {"denoise": per_level.tolist()}
    for shift, name in enumerate(("energy_positive", "energy_negative", "distance")):
        by_level[name] = (per_level + shift).tolist() if mined else None
    by_level["residual"] = (2 * per_level).tolist() if mined else None
    by_level["false"] = (per_level / 100).tolist() if mined else None
    by_level["clipped"] = (per_level / 50).tolist() if mined else None
    by_level["accepted"] = (per_level / 2).tolist() if strategy == "adversarial" else None
    return {
        "step": np.linspace(train_steps / points, train_steps, points).astype(int).tolist(),
        "loss": (1.5 * per_seed).tolist(),
        "denoise": per_seed.tolist(),
        "contrast": per_seed.tolist() if mined else [[None] * stack for _ in range(points)],
        "grad_norm": (3 * per_seed).tolist(),
        "by_level": by_level,
        "mse_step": np.linspace(0, train_steps, points).astype(int).tolist(),
        "mse_same": (np.array(same) * (1 + decay[:, None] - decay[-1])).tolist(),
    }


def _landscape(draw, stack, levels, same):
    before = np.linspace(2.0, 1.0, levels)[:, None] * (1 + 0.05 * draw.random((levels, stack)))
    return {
        "level": list(range(levels - 1, -1, -1)),
        "energy_before": before.tolist(),
        "energy_after": (0.5 * before).tolist(),
        "accepted": (before / 3).tolist(),
        "mse": (np.array(same) * np.linspace(2, 1, levels)[:, None]).tolist(),
    }


def _markdown(text):
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(source, outputs, tags=()):
    return {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": outputs,
    }


def _stream(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


def _error(name, message):
    return {"output_type": "error", "ename": name, "evalue": message, "traceback": [f"{name}: {message}"]}


def _mime(record):
    return {
        "output_type": "display_data",
        "metadata": {},
        "data": {RECORD_TYPE: record, "text/plain": "<anm run record>"},
    }
