"""Gaps in a study: runs that are missing, and differences that make runs hard to compare."""

from collections.abc import Mapping

import pandas as pd

from anm.analysis.results import StudyResults, of
from anm.params import NOT_IN_RUN_ID, parse_seeds
from anm.registry import unused_settings

NOT_COMPARED = NOT_IN_RUN_ID | {"strategy", "energy", "seeds"}
NOT_PAIRED = "Their random numbers differ, so the seeds are not paired."


def missing(results: StudyResults) -> list[str]:
    """Every gap, one sentence each: missing runs and seeds, unequal settings, scores that are not finite."""
    found = [] if results.records else ["There is no valid run."]
    for energy in results.energies:
        found += _absent(results, energy) + unequal(results, energy)
    every = results.scores if results.sweep is None else pd.concat([results.scores, results.sweep.aside])
    for row in every[every["mse"].isna()].itertuples():
        found.append(f"{row.run}: seed {row.seed} has no finite MSE on {row.split}. It is left out.")
    for run in every.loc[every["git_dirty"].eq(True), "run"].unique():
        found.append(f"{run}: its code differed from its commit.")
    for name in results.sweep.unpaired if results.sweep is not None else ():
        found.append(f"{name}: this run and its baseline drew their problems on different devices. {NOT_PAIRED}")
    return found


def _absent(results: StudyResults, energy: str) -> list[str]:
    """Strategies without a run, and seeds that only some strategies have."""
    seeds: dict[str, set] = {}
    for record in results.records.values():
        if record["params"]["energy"] == energy:
            seeds.setdefault(record["params"]["strategy"], set()).update(parse_seeds(record["params"]["seeds"]))
    found = [f"{energy}: there is no run of {name}." for name in results.plan if name not in seeds]
    for name, own in seeds.items():
        if lacking := sorted(set().union(*seeds.values()) - own):
            noun = "seeds" if len(lacking) > 1 else "seed"
            found.append(f"{energy}: {name} lacks {noun} {', '.join(map(str, lacking))}, which another strategy has.")
    return found


def unequal(results: StudyResults, energy: str) -> list[str]:
    """The settings and test sets that differ between the strategies of one energy; empty if they are comparable."""
    params = {run: record["params"] for run, record in results.records.items() if record["params"]["energy"] == energy}
    scores = of(results.scores, energy)
    found = [
        f"{energy}: the runs differ in {name} ({', '.join(values)}). This may cause a difference between them."
        for name, values in differing_settings(params).items()
    ]
    if len(drawn := set(scores["drawn_on"])) > 1:
        devices = ", ".join(sorted(drawn))
        found.append(f"{energy}: the runs drew their problems on different devices ({devices}). {NOT_PAIRED}")
    counts = scores.groupby("split")["problems"].nunique()
    for split in counts[counts > 1].index:
        found.append(f"{energy}: the runs were scored on different numbers of problems ({split}).")
    return found


def differing_settings(params: Mapping[str, dict], unused=unused_settings) -> dict[str, list[str]]:
    """setting -> its values as text, for each setting in which runs differ.

    params: run -> settings. unused(strategy): the settings that this strategy does not depend on.
    """
    names = sorted(set().union(*params.values()) - NOT_COMPARED)
    values = {
        name: sorted({str(p.get(name)) for p in params.values() if name not in unused(p["strategy"])}) for name in names
    }
    return {name: found for name, found in values.items() if len(found) > 1}
