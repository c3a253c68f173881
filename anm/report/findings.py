"""A folder of executed notebooks, gathered: records, scores, comparisons, references, and what is missing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from anm import frames
from anm.direct import read_direct
from anm.grid import KEPT
from anm.miners import unused
from anm.params import NOT_IDENTITY, ParamError, parse_seeds
from anm.record import Refused, collect_runs, read_run
from anm.references import IRED, PUBLISHED, Published, reference_table
from anm.rivals import rival_table
from anm.schema import RecordError
from anm.stats import compare, summarise
from anm.sweep import Sweep, read_sweep

PLAN = ("none", "random", "adversarial")
BASELINE = "none"
SPLITS = ("same", "harder")
BEST = next(p for p in PUBLISHED if (p.source, p.table, p.method) == (IRED, "1", "IRED"))
PUBLISHED_N = 20
LONGEST = 300  # characters of a text from a record that a page shows
LARGEST_N, MOST_PROBLEMS = 64, 20_000  # bounds on what the references cost
ANALYSIS = ".analysis"  # in the name of the report's own executed notebook, which is no run
NOT_COMPARED = NOT_IDENTITY | {"strategy", "energy", "seeds"}


@dataclass(frozen=True)
class Findings:
    """What the report says rests on this alone.

    plan: strategies that should be there. records: run (file name) -> record, the strategy under the name that
    the report compares it by. refused: notebooks that do not count, with the reason. scores: one row per
    (run, seed, split), as `anm.record.collect_runs` gives them. sweep: what the folder holds of a grid; of its runs only
    those at the standard settings are among the records. paths: run -> its notebook, those of the sweep too.
    direct: file name -> network that answers without an energy (`anm.direct`). fingerprints: run or file -> SHA-256 of its record.
    """

    plan: tuple[str, ...]
    records: dict[str, dict]
    refused: tuple[Refused, ...]
    scores: pd.DataFrame
    sweep: Sweep | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    direct: Mapping[str, dict] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def energies(self) -> list[str]:
        return frames.in_order(record["params"]["energy"] for record in self.records.values())

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """Every pair of strategies, by energy and split; the family of Holm's correction is one energy and split."""
        return _stacked(self.scores, lambda rows: compare(seeds_of(rows), baseline=BASELINE))

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean over seeds with its interval, by energy, split and strategy."""
        return _stacked(self.scores, lambda rows: summarise(seeds_of(rows)))

    @cached_property
    def references(self) -> pd.DataFrame:
        """What needs no network, on the frozen problems of each energy's runs (none for n out of bounds)."""
        if not self.records or not 1 <= self.n <= LARGEST_N:
            return pd.DataFrame(
                columns=["energy", "problems", "reference", "mse_same", "mse_same_se", "mse_harder", "mse_harder_se"]
            )
        counts = {energy: max(2, min(self.problems(energy), MOST_PROBLEMS)) for energy in self.energies}
        tables = {count: reference_table(self.n, count) for count in sorted(set(counts.values()))}
        return pd.concat(
            [tables[count].assign(energy=energy, problems=count) for energy, count in counts.items()], ignore_index=True
        )

    @cached_property
    def rivals(self) -> pd.DataFrame:
        """Classical iterations, after so many matrix products, on as many of the frozen problems as solvers thought about."""
        thought = frames.thinking(self.records)
        if thought.empty or not 2 <= self.n <= LARGEST_N:
            return pd.DataFrame(columns=["rival", "products", "split", "mse"])
        return rival_table(self.n, int(max(2, min(thought["problems"].max(), MOST_PROBLEMS))))

    @property
    def published(self) -> Published | None:
        """The best published figure for this task, where the runs are at its n."""
        return BEST if self.records and self.n == PUBLISHED_N else None

    @property
    def n(self) -> int:
        """The side of the matrices; of most runs, where they differ."""
        return int(self.scores["n"].mode().iloc[0])

    def problems(self, energy: str) -> int:
        """Test problems a difficulty; the most that any run of this energy was scored on."""
        return int(self.scores.loc[self.scores["energy"] == energy, "problems"].max())

    def __repr__(self) -> str:
        return f"Findings({len(self.records)} runs, {len(self.refused)} refused)"


def gather(folder: str | Path, plan: Sequence[str] = PLAN) -> Findings:
    """The findings of a folder of executed notebooks. Raises `RecordError` if there is no such folder.

    Texts of records are kept to `LONGEST` visible characters: a page can show no others.
    """
    scores, refused = collect_runs(folder)
    refused = tuple(Refused(r.path, visible(r.reason)) for r in refused if ANALYSIS not in r.path.suffixes)
    direct, unread = read_all_direct(Path(folder))
    refused += unread
    every = dict(zip(scores["run"], scores["path"]))
    try:
        sweep = read_sweep(folder, scores)
    except ParamError as error:
        sweep, refused = None, (*refused, Refused(Path(folder) / KEPT, visible(str(error))))
    scores = scores if sweep is None else scores[~scores["run"].isin(sweep.aside["run"])]
    paths = {visible(run): path for run, path in zip(scores["run"], scores["path"])}
    read = {run: read_run(path) for run, path in paths.items()}
    fingerprints = {run: fingerprint(record) for run, record in (read | direct).items()}
    direct = {name: visible(record) for name, record in direct.items()}
    records = {run: visible(record) for run, record in read.items()}
    texts = scores.select_dtypes(["object", "str"]).columns.drop("path")
    scores = scores.assign(**{name: scores[name].map(visible) for name in texts})
    names = arms(records)
    records = {run: record | {"params": record["params"] | {"strategy": names[run]}} for run, record in records.items()}
    order = pd.CategoricalDtype(frames.in_order(names.values()))
    scores = scores.assign(strategy=scores["run"].map(names).astype(order))
    return Findings(tuple(plan), records, refused, scores, sweep, every, direct, fingerprints)


def fingerprint(record: dict) -> str:
    """SHA-256 of the record as JSON with sorted names: by it a page says exactly which record it was made from."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def read_all_direct(folder: Path) -> tuple[dict[str, dict], tuple[Refused, ...]]:
    """The files of direct networks in a folder, and those that are none."""
    found, refused = {}, []
    for path in sorted(folder.glob("direct*.json")):
        try:
            found[visible(path.name)] = read_direct(path)
        except RecordError as error:
            refused.append(Refused(path, visible(error.reason)))
    return found, tuple(refused)


def arms(records: Mapping[str, dict]) -> dict[str, str]:
    """The name that each run is compared under: its strategy, with the settings in which runs of one strategy
    and energy differ ("adversarial (mining_opt_steps 8)"), the code of the user's own strategies among them."""
    groups: dict[tuple, list[str]] = {}
    for run, record in records.items():
        groups.setdefault((record["params"]["energy"], record["params"]["strategy"]), []).append(run)
    names = {}
    for (_, strategy), runs in groups.items():
        settings = {
            run: records[run]["params"]
            | {f"code of {name}": code[:8] for name, code in (records[run]["provenance"].get("own_code") or {}).items()}
            for run in runs
        }
        differing = _differing(settings, but=lambda strategy: ())
        for run in runs:
            detail = ", ".join(f"{name} {settings[run].get(name)}" for name in differing)
            names[run] = f"{strategy} ({detail})" if detail else strategy
    return names


def visible(value):
    """The same value with every text in it cut to length, and what cannot be shown replaced by U+FFFD."""
    if isinstance(value, dict):
        return {visible(name): visible(part) for name, part in value.items()}
    if isinstance(value, list):
        return [visible(part) for part in value]
    if not isinstance(value, str):
        return value
    text = value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def missing(findings: Findings) -> list[str]:
    """What the plan asks for and the folder lacks, and what makes runs hard to compare; one sentence each."""
    found = [] if findings.records else ["There is no run that counts."]
    for energy in findings.energies:
        found += _absent(findings, energy) + _unequal(findings, energy)
    every = findings.scores if findings.sweep is None else pd.concat([findings.scores, findings.sweep.aside])
    for row in every[every["mse"].isna()].itertuples():
        found.append(f"{row.run}: seed {row.seed} has no finite MSE on {row.split}; it is left out.")
    found += [
        f"{run} was made with code that differs from its commit."
        for run in every.loc[every["git_dirty"].eq(True), "run"].unique()
    ]
    if findings.sweep is not None:
        found += [
            f"{name}: it and its baseline drew their problems on different devices, whose random numbers differ: its seeds are not paired."
            for name in findings.sweep.unpaired
        ]
    return found


def seeds_of(rows: pd.DataFrame) -> dict[str, dict[int, float]]:
    """strategy -> {seed: MSE}, the finite ones."""
    rows = rows.dropna(subset="mse")
    return {
        s: dict(zip(mine["seed"], mine["mse"]))
        for s in frames.in_order(rows["strategy"])
        for mine in [rows[rows["strategy"] == s]]
    }


def _absent(findings: Findings, energy: str) -> list[str]:
    """Strategies without a run, and seeds that one strategy has and another lacks."""
    seeds: dict[str, set] = {}
    for record in findings.records.values():
        if record["params"]["energy"] == energy:
            seeds.setdefault(record["params"]["strategy"], set()).update(parse_seeds(record["params"]["seeds"]))
    every = set().union(*seeds.values())
    return [f"{energy}: no run of {s}." for s in findings.plan if s not in seeds] + [
        f"{energy}: {s} lacks seed{'s'[: len(every - mine) > 1]} {listed(every - mine)}, which another strategy has."
        for s, mine in seeds.items()
        if every - mine
    ]


def _unequal(findings: Findings, energy: str) -> list[str]:
    """Settings and test sets that differ between the strategies of one energy."""
    params = {run: record["params"] for run, record in findings.records.items() if record["params"]["energy"] == energy}
    scores = findings.scores[findings.scores["energy"] == energy]
    found = [
        f"{energy}: the runs differ in {name} ({', '.join(values)}), so a difference between them may come from that."
        for name, values in _differing(params).items()
    ]
    found += [
        f"{energy}: the runs drew their problems on different devices ({', '.join(sorted(drawn))}), whose random numbers differ: seeds are not paired."
        for drawn in [set(scores["drawn_on"])]
        if len(drawn) > 1
    ]
    scored = scores.groupby("split")["problems"].nunique()
    return found + [
        f"{energy}: the runs were scored on different numbers of problems ({split})."
        for split, count in scored.items()
        if count > 1
    ]


def unequal(findings: Findings, energy: str) -> bool:
    """Whether runs of this energy differ in more than their strategy."""
    return bool(_unequal(findings, energy))


def _differing(params: Mapping[str, dict], but=unused) -> dict[str, list[str]]:
    """setting -> its values as text, where runs differ in it; `but(strategy)` are settings that it does not use."""
    names = sorted(set().union(*params.values()) - NOT_COMPARED)
    values = {
        name: sorted({str(p.get(name)) for p in params.values() if name not in but(p["strategy"])}) for name in names
    }
    return {name: found for name, found in values.items() if len(found) > 1}


def listed(numbers) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _stacked(scores: pd.DataFrame, table) -> pd.DataFrame:
    """`table(rows)` of every energy and split, one below the other, with columns energy and split."""
    groups = [
        (energy, split, scores[(scores["energy"] == energy) & (scores["split"] == split)])
        for energy in frames.in_order(scores["energy"])
        for split in SPLITS
    ]
    parts = [
        table(rows).assign(energy=energy, split=split) for energy, split, rows in groups if rows["mse"].notna().any()
    ]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["energy", "split"])
