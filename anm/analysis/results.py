"""The results of a study: records, scores, comparisons with the baseline, and reference errors."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
import pandas as pd

from anm.analysis import tidy_tables
from anm.analysis.gate import GateResult, check_gate
from anm.analysis.statistics import compare, summarise
from anm.analysis.sweeps import Sweep
from anm.baselines.closed_form import closed_form_table
from anm.baselines.iterative import iterative_table
from anm.baselines.published import BEST, Published
from anm.params import ParamError, RunParams
from anm.records.collect import RejectedRun
from anm.records.schema import SPLITS
from anm.study.plan import BASELINE

PUBLISHED_N = 20
LARGEST_N, MOST_PROBLEMS = 64, 20_000  # above these, the references would take too long
MAIN_STRATEGY = "adversarial"  # the study asks about this strategy


@dataclass(frozen=True)
class StudyResults:
    """Everything that a report is made from.

    plan: the strategies that the study asks for. records: run (file name) -> record; `strategy` in it is the label by
    which the run is compared. refused: notebooks that are left out, with the reason. scores: one row per (run, seed,
    split), as `anm.collect_runs` gives them. sweep: the folder's sweep, if it holds one; only its runs at the standard
    settings are among the records. paths: run -> notebook, with the runs of the sweep. feed_forward: file name ->
    record of a feed-forward network. fingerprints: run or file name -> SHA-256 of its record.
    """

    plan: tuple[str, ...]
    records: dict[str, dict]
    refused: tuple[RejectedRun, ...]
    scores: pd.DataFrame
    sweep: Sweep | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    feed_forward: Mapping[str, dict] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def energies(self) -> list[str]:
        return tidy_tables.in_order(record["params"]["energy"] for record in self.records.values())

    def strategies(self, energy: str) -> list[str]:
        """The strategies that have scores with this energy."""
        return tidy_tables.in_order(self.scores.loc[self.scores["energy"] == energy, "strategy"])

    @property
    def main_strategies(self) -> list[str]:
        """The answer's strategies: adversarial if planned, else all but the baseline."""
        return [MAIN_STRATEGY] if MAIN_STRATEGY in self.plan else [s for s in self.plan if s != BASELINE]

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """Every pair of strategies, by energy and split. Holm's family: the pairs of one energy and split."""
        return _stacked(self.scores, lambda rows: compare(seeds_of(rows), baseline=BASELINE))

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean over seeds with its interval, by energy, split and strategy."""
        return _stacked(self.scores, lambda rows: summarise(seeds_of(rows)))

    @cached_property
    def references(self) -> pd.DataFrame:
        """Errors of the closed-form baselines on each energy's frozen problems; empty for n out of bounds."""
        rows, tables = [], cache(closed_form_table)
        for energy in self.energies:
            count = max(2, min(self.problems(energy), MOST_PROBLEMS))
            with suppress(ParamError):  # a task of the user's own that is not here, or an n that no task has
                params = self.params(energy)
                if params.n <= LARGEST_N:
                    rows.append(tables(params.task_object(), params.n, count).assign(energy=energy, problems=count))
        scores = [f"mse_{split}{suffix}" for split in SPLITS for suffix in ("", "_se")]
        empty = pd.DataFrame(columns=["energy", "problems", "reference", "kind", *scores])
        return pd.concat(rows, ignore_index=True) if rows else empty

    @cached_property
    def iterative(self) -> pd.DataFrame:
        """Errors of the iterative baselines by matrix products, on the problems that were solved with refinement."""
        refined = tidy_tables.refinement(self.records)
        if refined.dropna(subset="products").empty or not 2 <= self.n <= LARGEST_N:
            return pd.DataFrame(columns=["method", "products", "split", "mse"])
        return iterative_table(self.n, int(max(2, min(refined["problems"].max(), MOST_PROBLEMS))))

    @property
    def published(self) -> Published | None:
        """The best published figure for this task, if the runs have its n."""
        return BEST if self.tasks == {"inverse"} and self.n == PUBLISHED_N else None

    @property
    def n(self) -> int:
        """The side of the matrices; of most runs, if they differ."""
        return int(self.scores["n"].mode().iloc[0])

    def params(self, energy: str) -> RunParams:
        """Task, size and rank of this energy's runs; of the first run, if they differ. Raises `ParamError`."""
        runs = [record["params"] for record in self.records.values() if record["params"]["energy"] == energy]
        return RunParams(**{name: runs[0][name] for name in ("task", "n", "completion_rank")})

    @property
    def tasks(self) -> set[str]:
        """The tasks of the study, whose scores are never compared with one another."""
        return {record["params"]["task"] for record in self.records.values()}

    def difficulty(self, energy: str) -> str:
        """What the task of this energy's runs calls its difficulty."""
        try:
            return self.params(energy).task_object().difficulty
        except ParamError:  # a task of the user's own that is not here
            return "difficulty"

    def problems(self, energy: str) -> int:
        """Test problems per split; the largest number among this energy's runs."""
        return int(self.scores.loc[self.scores["energy"] == energy, "problems"].max())

    def means(self, energy: str, split: str) -> pd.DataFrame:
        """The rows of `summary` for one energy and split."""
        return of(self.summary, energy, split) if len(self.summary) else self.summary

    def difference(self, energy: str, strategy: str, split: str, against: str = BASELINE) -> pd.Series | None:
        """The row of `comparison` for one pair; None if the two share no seed."""
        if "strategy" not in self.comparison:
            return None
        rows = of(self.comparison, energy, split)
        rows = rows[(rows["strategy"] == strategy) & (rows["against"] == against) & (rows["n_seeds"] > 0)]
        return None if rows.empty else rows.iloc[0]

    def gate(self, energy: str) -> GateResult | None:
        """Whether the runs of an energy can tell strategies apart; None without a run of `none` or references."""
        errors = seeds_of(of(self.scores, energy, SPLITS[0])).get(BASELINE)
        references = self.references[self.references["energy"] == energy]
        if not errors or references.empty:
            return None
        return check_gate(np.array(list(errors.values())), references)

    def seeds_lower(self, row) -> tuple[int, int]:
        """Seeds in which a comparison's strategy has the lower error, and paired seeds."""
        scores = seeds_of(of(self.scores, row["energy"], row["split"]))
        one, other = scores[row["strategy"]], scores[row["against"]]
        shared = one.keys() & other.keys()
        return sum(one[seed] < other[seed] for seed in shared), len(shared)

    def reference(self, name: str, split: str, energy: str) -> float:
        """A reference's MSE on an energy's problems (`published`: the best published one); NaN if unknown."""
        if name == "published":
            return getattr(self.published, f"mse_{split}", math.nan)
        table = self.references[self.references["energy"] == energy].set_index("reference")
        return float(table.loc[name, f"mse_{split}"]) if name in table.index else math.nan

    def prefix(self, energy: str) -> str:
        """ "<energy>: " if the study has several energies, else nothing."""
        return f"{energy}: " if len(self.energies) > 1 else ""

    def __repr__(self) -> str:
        return f"StudyResults({len(self.records)} runs, {len(self.refused)} refused)"


def of(table: pd.DataFrame, energy: str, split: str | None = None) -> pd.DataFrame:
    """The rows of one energy, and of one split if given."""
    rows = table[table["energy"] == energy]
    return rows if split is None else rows[rows["split"] == split]


def seeds_of(rows: pd.DataFrame) -> dict[str, dict[int, float]]:
    """strategy -> {seed: MSE}, without scores that are not finite."""
    rows = rows.dropna(subset="mse")
    parts = {strategy: rows[rows["strategy"] == strategy] for strategy in tidy_tables.in_order(rows["strategy"])}
    return {strategy: dict(zip(part["seed"], part["mse"])) for strategy, part in parts.items()}


def _stacked(scores: pd.DataFrame, table) -> pd.DataFrame:
    """`table(rows)` of every energy and split in one table, with columns energy and split."""
    parts = []
    for energy in tidy_tables.in_order(scores["energy"]):
        for split in SPLITS:
            rows = of(scores, energy, split)
            part = table(rows).assign(energy=energy, split=split) if rows["mse"].notna().any() else ()
            parts += [part] if len(part) else []
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["energy", "split"])
