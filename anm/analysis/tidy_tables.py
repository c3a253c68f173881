"""Records as tidy tables: one function per table, one row per number, with run and seed.

A table without numbers is empty and keeps its columns. Null becomes NaN.
Source: tidy data, Wickham 2014, doi:10.18637/jss.v059.i10.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from anm.params import parse_seeds

WHO = ["run", "energy", "strategy", "seed"]
TEXTS = ("run", "energy", "strategy", "split", "term", "spectrum")
FIRST = ("none", "random", "adversarial", "mlp", "bilinear", "residual")


def in_order(names: Iterable[str]) -> list[str]:
    """The distinct names: the study's in its order, then others by name."""
    found = set(names)
    return [name for name in FIRST if name in found] + sorted(found - set(FIRST))


def learning(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE of the averaged weights on a small frozen subset of `same`, by training step."""
    return _curves(records, "mse_step", ["mse_same"]).drop(columns="term").rename(columns={"value": "mse"})


def loss_curves(records: Mapping[str, dict]) -> pd.DataFrame:
    """Loss terms and gradient norm by training step; `term` names which."""
    return _curves(records, "step", ["loss", "denoise", "contrast", "grad_norm"])


def landscape_steps(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE by landscape steps per noise level at test time, for both splits."""
    return _by_split(records, ["landscape_steps"], ["steps", "problems"], ["same", "harder"])


def conditions(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE by the condition number of the problem: one row per bin [low, high)."""
    rows = []
    for who, record, s in _stacks(records):
        for split in ("same", "harder"):
            bins = record["results"][split].get("by_condition") or {"edges": [], "problems": [], "mse": []}
            for low, high, problems, mse in zip(bins["edges"], bins["edges"][1:], bins["problems"], bins["mse"]):
                rows.append([*who, split, low, high, problems, mse[s]])
    return _table(rows, [*WHO, "split", "low", "high", "problems", "mse"], records)


def ladder(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE by difficulty: one row per offset c, smaller is harder."""
    return _entries(records, "ladder", ["offset", "problems"], ["mse"])


def solving(records: Mapping[str, dict]) -> pd.DataFrame:
    """While solving `same`, by noise level: energy before and after landscape steps, share accepted, MSE."""
    names = ["energy_before", "energy_after", "accepted", "mse"]
    rows = []
    for who, record, s in _stacks(records):
        walk = record.get("landscape") or {}
        for place, level in enumerate(walk.get("level", [])):
            rows.append([*who, level, *(walk[name][place][s] if walk.get(name) else None for name in names)])
    return _table(rows, [*WHO, "level", *names], records)


MINED = ["contrast", "energy_positive", "energy_negative", "distance", "accepted", "clipped", "residual", "false"]


def mining(records: Mapping[str, dict], share: float = 0.25) -> pd.DataFrame:
    """Properties of the negatives by noise level: mean over seeds and the last `share` of training.

    contrast: the contrastive loss. energy_positive, energy_negative: energies of the answer and of the negative.
    distance: between the two, RMS. accepted: share of the miner's landscape steps that were accepted. clipped: share
    of negatives with an entry at the answer bound. residual: of the negative. false: share of negatives that are right
    answers. One row per run and level; NaN if unknown.
    """

    def mean(values: list) -> pd.Series:
        return pd.DataFrame(values[-max(1, round(share * len(values))) :], dtype=float).mean()

    return _mined(records, "level", mean)


def mining_history(records: Mapping[str, dict]) -> pd.DataFrame:
    """Properties of the negatives by training step; columns as in `mining`."""
    return _mined(records, "step", lambda values: pd.DataFrame(values, dtype=float).mean(axis=1))


def _mined(records: Mapping[str, dict], along: str, mean) -> pd.DataFrame:
    """A row per level or step. mean: (steps x levels) -> one value each."""
    rows = []
    for run, record in records.items():
        by_level = record["curves"].get("by_level") or {}
        means = {name: mean(by_level[name]).tolist() for name in MINED if by_level.get(name)}
        who = [run, record["params"]["energy"], record["params"]["strategy"]]
        places = range(record["params"]["noise_levels"]) if along == "level" else record["curves"].get("step") or []
        for place, value in enumerate(places if means else ()):
            rows.append([*who, value, *(means[name][place] if name in means else None for name in MINED)])
    return _table(rows, [*WHO[:3], along, *MINED], records)


def refinement(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE by refinement (conjugate gradient at test time), with matrix products.

    `landscape_steps` per noise level, then `refine_steps`. products: NaN if the energy makes none. Split `hardest` is
    c = 0.02.
    """
    settings = ["landscape_steps", "refine_steps", "products", "problems"]
    return _by_split(records, ["thinking", "thinking_only"], settings, ["same", "harder", "hardest"])


def sizes(records: Mapping[str, dict]) -> pd.DataFrame:
    """MSE at the trained n and at others, before and after refinement steps."""
    return _entries(records, "sizes", ["split", "n", "problems", "refine_steps"], ["mse", "mse_refined"])


def spectrum_errors(records: Mapping[str, dict]) -> pd.DataFrame:
    """Relative squared error on spectra that training never saw, before and after refinement steps.

    Relative to the mean square of the answers. condition: the median condition number.
    """
    settings = ["spectrum", "condition", "problems", "refine_steps"]
    return _entries(records, "spectra", settings, ["relative", "relative_refined"])


def provenance_columns(records: Mapping[str, dict]) -> pd.DataFrame:
    """Provenance of each run, one row per run; None if the record does not say."""
    rows = []
    for run, record in records.items():
        origin = record["provenance"]
        row = {"run": run} | {name: record["params"][name] for name in ("energy", "strategy", "seeds")}
        row |= {name: (origin.get("machine") or {}).get(name) for name in ("host", "cpu", "cores", "gpu")}
        names = "device started seconds seconds_per_step resumed peak_memory_mib compiled".split()
        row |= {name: origin.get(name) for name in names}
        row |= {"commit": origin.get("git_commit"), "dirty": origin.get("git_dirty")}
        versions = ", ".join(f"{name} {origin.get(name)}" for name in ("anm", "python", "torch"))
        rows.append(row | {"versions": versions})
    table = pd.DataFrame(rows, dtype=object)
    return table.where(table.notna(), None)


def _stacks(records: Mapping[str, dict]):
    """(run, energy, strategy, seed), record, place in the stack; for every seed."""
    for run, record in records.items():
        params = record["params"]
        for place, seed in enumerate(parse_seeds(params["seeds"])):
            yield [run, params["energy"], params["strategy"], seed], record, place


def _entries(records: Mapping[str, dict], part: str, settings: list[str], scores: list[str]) -> pd.DataFrame:
    """A row per seed and entry; an entry holds one score per seed."""
    rows = (
        [*who, *(entry[name] for name in settings), *(entry[name][s] for name in scores)]
        for who, record, s in _stacks(records)
        for entry in record["results"].get(part) or []
    )
    return _table(rows, [*WHO, *settings, *scores], records)


def _by_split(records: Mapping[str, dict], parts: list[str], settings: list[str], splits: list[str]) -> pd.DataFrame:
    """A row per seed, split and entry; an entry holds scores by split."""
    rows = (
        [*who, split, *(entry[name] for name in settings), entry[split][s]]
        for who, record, s in _stacks(records)
        for part in parts
        for entry in record["results"].get(part) or []
        for split in splits
        if split in entry
    )
    return _table(rows, [*WHO, "split", *settings, "mse"], records)


def _curves(records: Mapping[str, dict], steps: str, terms: list[str]) -> pd.DataFrame:
    """A row per seed, term and step; the record's curves hold one value per seed at each step."""
    rows = (
        [*who, term, step, values[s]]
        for who, record, s in _stacks(records)
        for term in terms
        for step, values in zip(record["curves"].get(steps) or [], record["curves"].get(term) or [])
    )
    return _table(rows, [*WHO, "term", "step", "value"], records)


def _table(rows, columns: list[str], records: Mapping[str, dict]) -> pd.DataFrame:
    """The rows as a table; strategies are categories, for colours that stay."""
    table = pd.DataFrame(list(rows), columns=columns)
    names = in_order(record["params"]["strategy"] for record in records.values())
    table["strategy"] = pd.Categorical(table["strategy"], names)
    return table.astype({c: float for c in columns if c not in (*TEXTS, "seed")})
