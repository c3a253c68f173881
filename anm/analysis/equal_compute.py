"""The results of a declared comparison at equal compute, read from the folder of its executed notebooks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from anm.analysis import tidy_tables
from anm.analysis.budget_tables import POINTS, at_points, budget_scores, comparisons
from anm.analysis.crossed_bootstrap import crossed_ratio
from anm.analysis.folder import ANALYSIS, check_folder, fingerprint, relabelled, visible
from anm.analysis.gate import GateResult, check_gate
from anm.analysis.log_ratios import compare_logs
from anm.baselines.closed_form import closed_form_table
from anm.baselines.floors import PROBLEMS, read_floors
from anm.params import NOT_IN_RUN_ID, RunParams, parse_seeds
from anm.records.collect import RejectedRun, read_records
from anm.records.problem_errors import decode
from anm.records.read import settings_of
from anm.study.comparison import COMPARISON_FILE, ComparisonDefinition, read_comparison_file
from anm.study.plan import BASELINE

MAY_DIFFER = NOT_IN_RUN_ID - {"test_problems", "test_set"}  # a record may differ in these from the declaration
SeedErrors = Mapping[int, np.ndarray]  # seed -> errors of its test problems (N,)


@dataclass(frozen=True)
class ComparisonResults:
    """Everything that the page of a comparison is made from.

    records: file name -> record. labels: file name -> (regime, arm). refused: notebooks that are left out, with the
    reason. problem_errors: (regime, arm) -> errors per seed and problem on `same` at the budget. fingerprints: file
    name -> SHA-256 of its record.
    """

    definition: ComparisonDefinition
    folder: Path
    records: Mapping[str, dict]
    labels: Mapping[str, tuple[str, str]]
    refused: tuple[RejectedRun, ...]
    problem_errors: Mapping[tuple[str, str], SeedErrors]
    fingerprints: Mapping[str, str]

    @property
    def regimes(self) -> list[str]:
        return list(self.definition.regimes)

    @property
    def arms(self) -> list[str]:
        """The declared arms without the baseline."""
        return [arm for arm in self.definition.arms if arm != BASELINE]

    def arms_in(self, regime: str) -> list[str]:
        """The declared arms of a regime, without the baseline."""
        return [arm for arm in self.definition.limits.get(regime, self.definition.arms) if arm != BASELINE]

    @property
    def family(self) -> list[str]:
        """The regimes of the declared family: those with all arms."""
        return [regime for regime in self.regimes if regime not in self.definition.limits]

    @property
    def passed(self) -> list[str]:
        """The regimes of the family that passed their gate: the only ones with claims."""
        return [regime for regime in self.family if (gate := self.gates[regime]) and gate.passed]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per run, seed, split and budget point; see `budget_scores`."""
        return budget_scores(self.records, self.labels)

    @cached_property
    def gates(self) -> dict[str, GateResult | None]:
        """Regime -> its gate; None where `none` has no score at the budget."""
        return {regime: self.gate(regime) for regime in self.regimes}

    def gate(self, regime: str) -> GateResult | None:
        """Whether `none` at the budget leaves room on both sides; None without its score."""
        errors = self.errors(regime, BASELINE).to_numpy(float)
        if not np.isfinite(errors).any():
            return None
        return check_gate(errors, references(self.definition.params(regime, BASELINE)))

    @cached_property
    def table(self) -> pd.DataFrame:
        """Every arm against the baseline, by regime, split, score and point; see `comparisons`."""
        budgets = {regime: self.definition.budget(regime) for regime in self.regimes}
        arms = {regime: [BASELINE, *self.arms_in(regime)] for regime in self.regimes}
        # A regime whose gate is unknown stays in the family, so that a missing run makes no other one significant
        in_family = [regime for regime in self.family if (gate := self.gates[regime]) is None or gate.passed]
        return comparisons(self.scores, budgets, in_family, arms)

    @cached_property
    def primary(self) -> pd.DataFrame:
        """The rows of `table` on `same` at the full budget, by regime and arm, with and without a claim."""
        rows = self.table
        return rows[(rows["split"] == "same") & (rows["score"] == "mse") & (rows["point"] == POINTS[-1])]

    def row(self, regime: str, arm: str, split: str = "same", score: str = "mse", point: float = 1.0) -> pd.Series:
        """One row of `table`."""
        rows = self.table
        wanted = (rows["regime"] == regime) & (rows["arm"] == arm) & (rows["split"] == split)
        return rows[wanted & (rows["score"] == score) & (rows["point"] == point)].iloc[0]

    def errors(self, regime: str, arm: str, split: str = "same", score: str = "mse") -> pd.Series:
        """The errors of an arm at the budget, by seed; NaN where a seed has none."""
        scores = self.scores
        own = scores[(scores["regime"] == regime) & (scores["arm"] == arm) & (scores["split"] == split)]
        return at_points(own, self.definition.budget(regime), score)[POINTS[-1]]

    def against(self, regime: str, arm: str, other: str) -> dict:
        """An arm against another one at the budget, with the columns of `compare_logs`. It carries no claim."""
        return compare_logs(self.errors(regime, arm), self.errors(regime, other))

    def against_end(self, regime: str, arm: str, split: str = "harder") -> tuple[dict, float]:
        """An arm at the budget against the end of the baseline's training, and how much more compute that had."""
        scores = self.scores[(self.scores["regime"] == regime) & (self.scores["split"] == split)]
        base = scores[(scores["arm"] == BASELINE) & (scores["share"] == 1)]
        more = float(base["compute"].mean() / self.definition.budget(regime))
        return compare_logs(self.errors(regime, arm, split), base.set_index("seed")["mse"]), more

    @cached_property
    def crossed(self) -> dict[tuple[str, str], dict]:
        """(regime, arm) -> its ratio with the interval over seeds and problems; see `crossed_ratio`."""
        return {
            (regime, arm): self.crossed_ratio(regime, arm)
            for regime in self.regimes
            for arm in self.arms_in(regime)
            if (regime, arm) in self.problem_errors and (regime, BASELINE) in self.problem_errors
        }

    def crossed_ratio(self, regime: str, arm: str) -> dict:
        own, base = self.problem_errors[regime, arm], self.problem_errors[regime, BASELINE]
        seeds = sorted(own.keys() & base.keys())
        pair = [np.array([errors[seed] for seed in seeds]).reshape(len(seeds), -1) for errors in (own, base)]
        return crossed_ratio(*pair)

    @cached_property
    def negatives(self) -> pd.DataFrame:
        """Negatives by regime, arm and noise level in the last quarter of the training: see `tidy_tables.mining`."""
        mined = tidy_tables.mining(
            relabelled(self.records, "strategy", {run: a for run, (_, a) in self.labels.items()})
        )
        mined = mined.assign(
            regime=mined["run"].map(lambda run: self.labels[run][0]), arm=mined["strategy"].astype(str)
        )
        shares = mined[["regime", "arm", "level", "false", "clipped", "accepted"]]
        return shares.groupby(["regime", "arm", "level"], sort=False, as_index=False).mean()

    @cached_property
    def costs(self) -> pd.DataFrame:
        """The cost of a step over that of the baseline, by regime and arm: counted in FLOPs, measured in seconds.

        measured: NaN where a run has no time.
        """
        rows = []
        for run, (regime, arm) in self.labels.items():
            compute, seconds = self.records[run]["compute"], self.records[run]["provenance"]["seconds_per_step"]
            counted = compute["step_flops"] / compute["baseline_flops"]
            rows.append([regime, arm, counted, np.nan if seconds is None else seconds, len(self.seeds(run))])
        table = pd.DataFrame(rows, columns=["regime", "arm", "counted", "seconds", "seeds"])
        base = table[table["arm"] == BASELINE].set_index("regime")["seconds"].groupby(level=0).mean()
        return table.assign(measured=table["seconds"] / table["regime"].map(base))

    def seeds(self, run: str) -> tuple[int, ...]:
        return tuple(parse_seeds(self.records[run]["params"]["seeds"]))

    @property
    def hours(self) -> float:
        """The time of all runs, one after the other, in hours."""
        return sum(record["provenance"]["seconds"] or 0 for record in self.records.values()) / 3600

    @cached_property
    def missing(self) -> dict[tuple[str, str], list[int]]:
        """(regime, arm) -> the declared seeds that have no finite score at the budget, where there are any."""
        found = {}
        for regime, arm in self.definition.cells():
            errors = self.errors(regime, arm)
            known = set(errors.index[np.isfinite(errors) & (errors > 0)])
            if lacking := [s for s in parse_seeds(self.definition.params(regime, arm).seeds) if s not in known]:
                found[regime, arm] = lacking
        return found


def gather_comparison(folder: str | Path) -> ComparisonResults:
    """The results in a folder with a comparison's file and its notebooks.

    Raises `RecordError` if there is no such folder, `ParamError` if its comparison.yaml is absent or not valid.
    """
    folder = Path(folder)
    check_folder(folder, f"python -m anm.study run --comparison params/comparisons/{folder.resolve().name}.yaml")
    found, refused = read_records(folder)
    definition = read_comparison_file(folder / COMPARISON_FILE)
    refused = [RejectedRun(each.path, visible(each.reason)) for each in refused if ANALYSIS not in each.path.suffixes]
    records, labels = {}, {}
    for path, record in found.items():
        label = label_of(path.stem, definition)
        if reason := undeclared(record, label, definition):
            refused.append(RejectedRun(path, visible(reason)))
        else:
            records[path.name], labels[path.name] = record, label
    errors: dict[tuple[str, str], dict] = {}
    for run, label in labels.items():
        errors.setdefault(label, {}).update(errors_at(records[run], definition.budget(label[0])))
    prints = {run: fingerprint(record) for run, record in records.items()}
    shown = {run: visible(record) for run, record in records.items()}
    return ComparisonResults(definition, folder, shown, labels, tuple(sorted(refused)), errors, prints)


def label_of(stem: str, definition: ComparisonDefinition) -> tuple[str, str] | None:
    """The (regime, arm) that a notebook's name stands for; None if it is not declared."""
    for regime, arm in definition.cells():
        if re.fullmatch(re.escape(f"{regime}--{arm}") + r"(-seeds[\d_-]+)?", stem):
            return regime, arm
    return None


def undeclared(record: dict, label: tuple[str, str] | None, definition: ComparisonDefinition) -> str:
    """The reason why a record is not a run of the comparison; empty if it is one."""
    if label is None:
        return "the comparison declares no regime and arm of this name: move the notebook elsewhere"
    if not record.get("compute") or not record["results"].get("budgets"):
        return "the record has no counted compute: run it again with this version"
    declared = definition.params(*label)
    wanted, own = settings_of(declared.resolved(), MAY_DIFFER), settings_of(record["params"], MAY_DIFFER)
    if differing := [name for name in wanted if own.get(name) != wanted[name]]:
        each = ", ".join(f"{name} {own.get(name)} instead of {wanted[name]}" for name in differing)
        return f"its settings are not the declared ones ({each}): run it again"
    if extra := sorted(set(parse_seeds(record["params"]["seeds"])) - set(parse_seeds(declared.seeds))):
        return f"seeds {', '.join(map(str, extra))} are not declared: move the notebook elsewhere"
    return ""


def errors_at(record: dict, budget: float) -> dict[int, np.ndarray]:
    """The errors of each seed on the problems of `same` at the budget; empty where the run has no score there."""
    compute, seeds = record["compute"], parse_seeds(record["params"]["seeds"])
    step = compute["step_flops"] / compute["baseline_flops"]
    distances = [abs(p["flops"] / compute["baseline_flops"] - budget) for p in record["results"]["budgets"]]
    nearest = int(np.argmin(distances))
    if distances[nearest] > step * (1 + 1e-9):
        return {}
    return dict(zip(seeds, decode(record["results"]["budgets"][nearest]["same"]["errors"], len(seeds))))


def references(params: RunParams) -> pd.DataFrame:
    """The errors of answers without training on the task's frozen problems, as `closed_form_table` gives them.

    They are read from the table of floors where it has the task at this n, and computed otherwise.
    """
    floors = read_floors()
    usual = params.completion_rank == RunParams().completion_rank
    rows = floors[(floors["task"] == params.task) & (floors["n"] == params.n) & (floors["kind"] != "published") & usual]
    if len(rows):
        return rows.rename(columns=lambda name: f"mse_{name}" if name.startswith(("same", "harder")) else name)
    return closed_form_table(params.task_object(), params.n, PROBLEMS)
