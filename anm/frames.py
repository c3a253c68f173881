"""Records as long tables: one function per table, one row per number, every row with its run and seed.

A table is empty, with its columns, where no record has the numbers; null becomes NaN.
Source: tidy data, Wickham 2014, doi:10.18637/jss.v059.i10.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from anm.params import parse_seeds

WHO = ["run", "energy", "strategy", "seed"]
FIRST = ("none", "random", "adversarial", "mlp", "bilinear", "residual")


def in_order(names: Iterable[str]) -> list[str]:
    """Strategies or energies without repeats: those of the study first, in its order, the others by name."""
    found = set(names)
    return [name for name in FIRST if name in found] + sorted(found - set(FIRST))


def learning(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE of the averaged weights on a small frozen subset of `same`, by training step."""
    rows = (
        [*who, step, value]
        for who, record, s in _stacks(records)
        for step, value in _columns(record["curves"], "mse_step", "mse_same", s)
    )
    return _table(rows, [*WHO, "step", "mse"], records)


def losses(records: Mapping[str, dict]) -> pd.DataFrame:
    """Loss terms and gradient norm by training step; `term` names which."""
    rows = (
        [*who, term, step, value]
        for who, record, s in _stacks(records)
        for term in ("loss", "denoise", "contrast", "grad_norm")
        for step, value in _columns(record["curves"], "step", term, s)
    )
    return _table(rows, [*WHO, "term", "step", "value"], records)


def landscape_steps(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE by landscape steps a noise level at test time, for both difficulties."""
    rows = (
        [*who, split, entry["steps"], entry["problems"], entry[split][s]]
        for who, record, s in _stacks(records)
        for entry in record["results"].get("landscape_steps") or []
        for split in ("same", "harder")
    )
    return _table(rows, [*WHO, "split", "steps", "problems", "mse"], records)


def conditions(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE by the problem's condition number: one row per bin [low, high)."""
    rows = []
    for who, record, s in _stacks(records):
        for split in ("same", "harder"):
            bins = record["results"][split].get("by_condition") or {"edges": [], "problems": [], "mse": []}
            for low, high, problems, mse in zip(bins["edges"], bins["edges"][1:], bins["problems"], bins["mse"]):
                rows.append([*who, split, low, high, problems, mse[s]])
    return _table(rows, [*WHO, "split", "low", "high", "problems", "mse"], records)


def ladder(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE at each rung of the difficulty ladder (offset c, smaller is harder)."""
    rows = (
        [*who, rung["offset"], rung["problems"], rung["mse"][s]]
        for who, record, s in _stacks(records)
        for rung in record["results"].get("ladder") or []
    )
    return _table(rows, [*WHO, "offset", "problems", "mse"], records)


def solving(records: Mapping[str, dict]) -> pd.DataFrame:
    """While solving `same`: energy before and after the landscape steps, share accepted, MSE, by noise level."""
    names = ["energy_before", "energy_after", "accepted", "mse"]
    rows = []
    for who, record, s in _stacks(records):
        walk = record.get("landscape") or {}
        series = [
            [row[s] for row in walk[name]] if walk.get(name) else [None] * len(walk.get("level", [])) for name in names
        ]
        rows += [[*who, *values] for values in zip(walk.get("level", []), *series)]
    return _table(rows, [*WHO, "level", *names], records)


MINED = ["contrast", "energy_positive", "energy_negative", "distance", "accepted", "residual", "false"]


def mining(records: Mapping[str, dict], share: float = 0.25) -> pd.DataFrame:
    """What the miner did, by noise level: mean over seeds and over the last `share` of training.

    Quantities: the contrastive loss, energy of the answer and of the negative, their distance (RMS, answer scale), share of the miner's landscape
    steps that were accepted, the negative's residual, share of negatives that are in fact right. One row per run and
    level; NaN where there is none.
    """
    rows = []
    for run, record in records.items():
        by_level = record["curves"].get("by_level") or {}
        means = {name: _last_mean(by_level[name], share) for name in MINED if by_level.get(name)}
        for level in range(record["params"]["noise_levels"] if means else 0):
            rows.append(
                [
                    run,
                    record["params"]["energy"],
                    record["params"]["strategy"],
                    level,
                    *(means[name][level] if name in means else None for name in MINED),
                ]
            )
    return _table(rows, [*WHO[:3], "level", *MINED], records)


def mining_history(records: Mapping[str, dict]) -> pd.DataFrame:
    """What the miner did, by training step: mean over seeds and noise levels. Quantities as in `mining`."""
    rows = []
    for run, record in records.items():
        by_level, steps = record["curves"].get("by_level") or {}, record["curves"].get("step") or []
        means = {
            name: pd.DataFrame(by_level[name], dtype=float).mean(axis=1).tolist()
            for name in MINED
            if by_level.get(name)
        }
        rows += [
            [
                run,
                record["params"]["energy"],
                record["params"]["strategy"],
                step,
                *(means[name][place] if name in means else None for name in MINED),
            ]
            for place, step in enumerate(steps)
            if means
        ]
    return _table(rows, [*WHO[:3], "step", *MINED], records)


def thinking(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE by how long a solver thought at test time, and the n x n matrix products of an answer (NaN where it makes none).

    `landscape_steps` a noise level, then `refine_steps`; split `hardest` is c = 0.02.
    """
    rows = (
        [
            *who,
            split,
            entry["landscape_steps"],
            entry["refine_steps"],
            entry["products"],
            entry["problems"],
            entry[split][s],
        ]
        for who, record, s in _stacks(records)
        for part in ("thinking", "thinking_only")
        for entry in record["results"].get(part) or []
        for split in ("same", "harder", "hardest")
    )
    return _table(rows, [*WHO, "split", "landscape_steps", "refine_steps", "products", "problems", "mse"], records)


def sizes(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE at the trained n and at others, as scored and after thinking longer."""
    rows = (
        [*who, rung["split"], rung["n"], rung["problems"], rung["refine_steps"], rung["mse"][s], rung["mse_refined"][s]]
        for who, record, s in _stacks(records)
        for rung in record["results"].get("sizes") or []
    )
    return _table(rows, [*WHO, "split", "n", "problems", "refine_steps", "mse", "mse_refined"], records)


def spectra(records: Mapping[str, dict]) -> pd.DataFrame:
    """Squared error in units of the answers' mean square on spectra that training never saw; median condition number."""
    rows = (
        [
            *who,
            rung["spectrum"],
            rung["condition"],
            rung["problems"],
            rung["refine_steps"],
            rung["relative"][s],
            rung["relative_refined"][s],
        ]
        for who, record, s in _stacks(records)
        for rung in record["results"].get("spectra") or []
    )
    return _table(
        rows, [*WHO, "spectrum", "condition", "problems", "refine_steps", "relative", "relative_refined"], records
    )


def provenance(records: Mapping[str, dict]) -> pd.DataFrame:
    """Where each run comes from: one row per run; what a record does not know is None."""
    table = pd.DataFrame([_origin(run, record) for run, record in records.items()], dtype=object)
    return table.where(table.notna(), None)


def _origin(run: str, record: dict) -> dict:
    params, origin = record["params"], record["provenance"]
    machine = origin.get("machine") or {}
    return {
        "run": run,
        "energy": params["energy"],
        "strategy": params["strategy"],
        "seeds": params["seeds"],
        "device": origin.get("device"),
        "host": machine.get("host"),
        "cpu": machine.get("cpu"),
        "cores": machine.get("cores"),
        "gpu": machine.get("gpu"),
        "commit": origin.get("git_commit"),
        "dirty": origin.get("git_dirty"),
        "started": origin.get("started"),
        "seconds": origin.get("seconds"),
        "seconds_per_step": origin.get("seconds_per_step"),
        "resumed": origin.get("resumed"),
        "peak_memory_mib": origin.get("peak_memory_mib"),
        "compiled": origin.get("compiled"),
        "versions": f"anm {origin.get('anm')}, python {origin.get('python')}, torch {origin.get('torch')}",
    }


def _stacks(records: Mapping[str, dict]):
    """(run, energy, strategy, seed), record and the seed's place in the stack, for every run and seed."""
    for run, record in records.items():
        params = record["params"]
        for place, seed in enumerate(parse_seeds(params["seeds"])):
            yield [run, params["energy"], params["strategy"], seed], record, place


def _columns(curves: dict, steps: str, values: str, place: int):
    return ((step, row[place]) for step, row in zip(curves.get(steps) or [], curves.get(values) or []))


def _last_mean(rows: list[list], share: float) -> list[float]:
    """Column means of the last `share` of the rows (at least one), nulls left out."""
    tail = rows[-max(1, round(share * len(rows))) :]
    return pd.DataFrame(tail, dtype=float).mean().tolist()


def _table(rows, columns: list[str], records: Mapping[str, dict]) -> pd.DataFrame:
    """Strategies are categories, all of the records in every table, so that each keeps its look in every figure."""
    table = pd.DataFrame(list(rows), columns=columns)
    names = in_order(record["params"]["strategy"] for record in records.values())
    table["strategy"] = pd.Categorical(table["strategy"], names)
    numbers = [c for c in columns if c not in ("run", "energy", "strategy", "split", "term", "spectrum")]
    return table.astype({c: float for c in numbers if c != "seed"})
