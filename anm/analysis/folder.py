"""Read a folder of executed notebooks as the results of a study."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from anm.analysis import tidy_tables
from anm.analysis.gaps import differing_settings
from anm.analysis.results import StudyResults
from anm.analysis.sweeps import read_sweep
from anm.params import ParamError
from anm.records.collect import ANALYSIS, RejectedRun, collect_runs
from anm.records.feed_forward import read_feed_forward
from anm.records.read import read_run
from anm.records.schema import RecordError
from anm.study.plan import STRATEGIES
from anm.study.sweep import SWEEP_FILE

LONGEST_TEXT = 300  # characters of a text from a record that a page displays


def gather(folder: str | Path, plan: Sequence[str] = STRATEGIES) -> StudyResults:
    """The results of a folder of executed notebooks. Raises `RecordError`, saying what to run, without such a folder.

    Texts of records are made safe to display (`visible`).
    """
    folder = Path(folder)
    check_folder(folder, f"python -m anm.study run --study {folder.resolve().name}")
    scores, refused = collect_runs(folder)
    refused = [RejectedRun(r.path, visible(r.reason)) for r in refused if ANALYSIS not in r.path.suffixes]
    feed_forward, unread = read_feed_forward_files(folder)
    refused += unread
    paths = dict(zip(scores["run"], scores["path"]))
    try:
        sweep = read_sweep(folder, scores)
    except ParamError as error:
        sweep, refused = None, [*refused, RejectedRun(folder / SWEEP_FILE, visible(str(error)))]
    scores = scores if sweep is None else scores[~scores["run"].isin(sweep.aside["run"])]
    raw = {visible(run): read_run(path) for run, path in zip(scores["run"], scores["path"], strict=True)}
    fingerprints = {name: fingerprint(record) for name, record in (raw | feed_forward).items()}
    records = {run: visible(record) for run, record in raw.items()}
    energies = energy_labels(records)
    records = relabelled(records, "energy", energies)
    labels = compare_labels(records)
    records = relabelled(records, "strategy", labels)
    texts = scores.select_dtypes(["object", "str"]).columns.drop("path")
    scores = scores.assign(**{name: scores[name].map(visible) for name in texts})
    order = pd.CategoricalDtype(tidy_tables.in_order(labels.values()))
    scores = scores.assign(strategy=scores["run"].map(labels).astype(order), energy=scores["run"].map(energies))
    feed_forward = {name: visible(record) for name, record in feed_forward.items()}
    return StudyResults(tuple(plan), records, tuple(refused), scores, sweep, paths, feed_forward, fingerprints)


def check_folder(folder: Path, command: str) -> None:
    """Raises `RecordError` without such a folder, naming the command that fills it."""
    if not folder.is_dir():
        raise RecordError(f"no such folder; executed notebooks fill it: {command}", folder)


def fingerprint(record: dict) -> str:
    """SHA-256 of the record as JSON with sorted names."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def read_feed_forward_files(folder: Path) -> tuple[dict[str, dict], list[RejectedRun]]:
    """The records of feed-forward networks in a folder (direct*.json), and the files that are not valid."""
    found, refused = {}, []
    for path in sorted(folder.glob("direct*.json")):
        try:
            found[visible(path.name)] = read_feed_forward(path)
        except RecordError as error:
            refused.append(RejectedRun(path, visible(error.reason)))
    return found, refused


def relabelled(records: Mapping[str, dict], parameter: str, labels: Mapping[str, str]) -> dict[str, dict]:
    """The records with this parameter replaced by the label of their run."""
    return {run: record | {"params": record["params"] | {parameter: labels[run]}} for run, record in records.items()}


def energy_labels(records: Mapping[str, dict]) -> dict[str, str]:
    """run -> its energy; with its task and n in front if the folder holds several tasks, which are never compared."""
    regimes = {run: f"{record['params']['task']}, n = {record['params']['n']}" for run, record in records.items()}
    several = len({record["params"]["task"] for record in records.values()}) > 1
    energies = {run: record["params"]["energy"] for run, record in records.items()}
    return {run: f"{regimes[run]}: {energy}" if several else energy for run, energy in energies.items()}


def compare_labels(records: Mapping[str, dict]) -> dict[str, str]:
    """run -> its label in comparisons: strategy and distinguishing settings.

    Runs of one strategy and energy that differ in settings, or in the code of the user's own classes, get labels such
    as "adversarial (mining_opt_steps 8)".
    """
    groups: dict[tuple, list[str]] = {}
    for run, record in records.items():
        groups.setdefault((record["params"]["energy"], record["params"]["strategy"]), []).append(run)
    labels = {}
    for (_, strategy), runs in groups.items():
        settings = {}
        for run in runs:
            own_code = records[run]["provenance"].get("own_code") or {}
            hashes = {f"code of {name}": code[:8] for name, code in own_code.items()}
            settings[run] = records[run]["params"] | hashes
        differing = differing_settings(settings, unused=lambda strategy: ())
        for run in runs:
            detail = ", ".join(f"{name} {settings[run].get(name)}" for name in differing)
            labels[run] = f"{strategy} ({detail})" if detail else strategy
    return labels


def visible(value):
    """The same value with every text cut to `LONGEST_TEXT`, and unprintable characters replaced by U+FFFD."""
    if isinstance(value, dict):
        return {visible(name): visible(part) for name, part in value.items()}
    if isinstance(value, list):
        return [visible(part) for part in value]
    if not isinstance(value, str):
        return value
    text = value if len(value) <= LONGEST_TEXT else value[: LONGEST_TEXT - 1] + "…"
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
