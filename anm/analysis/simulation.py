"""Simulated studies whose truth is known: how often the intervals and the claims are right.

    python -m anm.analysis.simulation --write

prints the tables of docs/statistics.md, and with --write stores them there (minutes on one core).

The interval of shifted and scaled differences is the interval, shifted and scaled. So one set of simulated differences
with mean 0 and SD 1 serves every true ratio and every SD.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import log_ndtr, ndtr, stdtrit

from anm.analysis.crossed_bootstrap import crossed_ratio
from anm.analysis.log_ratios import RATIO_MARGIN, power, ratio_statistics, seeds_needed
from anm.analysis.multiplier import compute_multiplier
from anm.analysis.sign_flips import inverted_interval, two_sided_p, typical_values
from anm.analysis.statistics import ALPHA, holm

DOCUMENT = Path("docs/statistics.md")  # in a clone of the project, which is the working folder
BEGIN, END = "<!-- simulation: begin -->\n", "<!-- simulation: end -->\n"
SEEDS = (8, 12, 30)
DEVIATIONS = (0.005, 0.054, 0.13, 1.0)  # SDs of the paired log difference, as measured on regimes of this study
FAMILY = (5, 7)  # regimes, and arms that each compares with the same runs of the baseline
BATCH = 50  # simulated studies at once; bounds memory

# Differences with mean 0 and SD 1, made from a standard normal number
KINDS = {
    "normal": lambda z: z,
    "heavy tails (t, 3 df)": lambda z: stdtrit(3, ndtr(z)) / np.sqrt(3),
    "skewed (exponential)": lambda z: -log_ndtr(-z) - 1,
}
FOUR, SEVEN = np.array([0.25, 0.5, 1.0, 2.0]), 2.0 ** np.arange(-2, 1.5, 0.5)  # points of compute, in budgets
# Error of the baseline by compute: a power law; and one with a floor, which is half of the error at the budget
POWER_LAW, FLOOR = (lambda compute: compute**-0.5), (lambda compute: 1 / compute + 1)
CURVES = {
    "power law, 4 points": (POWER_LAW, FOUR),
    "with a floor, 4 points": (FLOOR, FOUR),
    "with a floor, 7 points": (FLOOR, SEVEN),
}
MULTIPLIERS = (0.6, 1.0, 1.2)
DEVIATION = 0.054  # SD of the paired log difference, for the multiplier and the crossed bootstrap
STUDIES = {"intervals": 10_000, "families": 1000, "multipliers": 1000, "crossed": 1000}


class Share(NamedTuple):
    """A share of simulated studies; shown in percent with its Monte Carlo standard error."""

    value: float
    studies: int

    @property
    def error(self) -> float:
        """The standard error; not 0 where none or all count. Source: Agresti and Coull 1998, doi:10.2307/2685469."""
        adjusted = (self.value * self.studies + 2) / (self.studies + 4)
        return float(np.sqrt(adjusted * (1 - adjusted) / self.studies))

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} ± {max(0.1, 100 * self.error):.1f}"


def share(events) -> Share:
    """The share of studies in which something happened; events (studies,)."""
    return Share(float(np.mean(events)), len(events))


class Intervals(NamedTuple):
    """Ends of the 95 % and 90 % intervals of simulated differences with mean 0 and SD 1, each (studies,)."""

    low: np.ndarray
    high: np.ndarray
    low90: np.ndarray
    high90: np.ndarray

    def found(self, ratio: float, deviation: float) -> Share:
        """How often one uncorrected test finds a difference, where this is the true ratio."""
        shift = np.log(ratio) / deviation
        return share((self.low + shift > 0) | (self.high + shift < 0))

    def equivalent(self, ratio: float, deviation: float) -> Share:
        """How often the 90 % interval lies inside the margin, where this is the true ratio."""
        shift, margin = np.log(ratio), np.log1p(RATIO_MARGIN)
        return share((shift + deviation * self.low90 > -margin) & (shift + deviation * self.high90 < margin))


def simulate_intervals(seeds: int, kind: str, studies: int) -> Intervals:
    """The intervals of so many studies of so many seeds, with this kind of differences."""
    random, parts = np.random.default_rng(seeds), []
    for size in [min(BATCH, studies - start) for start in range(0, studies, BATCH)]:
        values = typical_values(KINDS[kind](random.standard_normal((size, seeds))))
        parts.append([*inverted_interval(values), *inverted_interval(values, 0.9)])
    return Intervals(*np.concatenate(parts, axis=1))


def false_claims(seeds: int, kind: str, studies: int) -> Share:
    """How often a family has any significant comparison after Holm, where every true ratio is 1.

    The arms of a regime share the runs of the baseline, so their differences correlate by 0.5.
    """
    random, claimed = np.random.default_rng(seeds), []
    regimes, arms = FAMILY
    for _ in range(studies):
        logs = random.standard_normal((regimes, arms + 1, seeds))
        differences = KINDS[kind]((logs[:, 1:] - logs[:, :1]) / np.sqrt(2))
        p = two_sided_p(typical_values(differences.reshape(-1, seeds)))
        claimed.append((holm(p) < ALPHA).any())
    return share(claimed)


def simulate_multiplier(seeds: int, curve: str, true: float, random: np.random.Generator) -> dict:
    """The multiplier of one simulated study, in which the arm at the budget equals the baseline at `true` budgets."""
    level = np.exp(0.3 * random.standard_normal((seeds, 1)))  # seeds differ by 30 %, alike in both arms
    error_at, points = CURVES[curve]
    noise = np.exp(DEVIATION / np.sqrt(2) * random.standard_normal((seeds, len(points) + 1)))
    errors = level * error_at(np.array([*points, true])) * noise
    return compute_multiplier(errors[:, -1], errors[:, :-1], points, 1.0)


def simulate_errors(seeds: int, problems: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Errors of two equal arms, each (seeds, problems): effects of problems, seeds and their interaction.

    Problems differ by a factor of e (SD of the log). The paired log difference has SD 0.054 between seeds, and 0.3
    between problems: an arm may be good at some problems. Each single error has a noise of SD 0.3.
    """
    difficulty = random.standard_normal(problems)
    by_problem = 0.3 / np.sqrt(2) * random.standard_normal((2, 1, problems))
    by_seed = DEVIATION / np.sqrt(2) * random.standard_normal((2, seeds, 1))
    errors, others = np.exp(difficulty + by_problem + by_seed + 0.3 * random.standard_normal((2, seeds, problems)))
    return errors, others


def interval_tables(studies: dict[str, int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Coverage and false claims, by seeds and kind; claims and equivalence of normal differences, by seeds and SD."""
    coverage, claims, size = [], [], FAMILY[0] * FAMILY[1]
    for seeds in SEEDS:
        for kind in KINDS:
            found = simulate_intervals(seeds, kind, studies["intervals"])
            row = {"seeds": seeds, "differences": kind, "coverage": share((found.low <= 0) & (found.high >= 0))}
            row["false claim in a family"] = false_claims(seeds, kind, studies["families"])
            narrow = [found.equivalent(ratio, DEVIATIONS[0]) for ratio in (1 / (1 + RATIO_MARGIN), 1 + RATIO_MARGIN)]
            coverage.append(row | {"false equivalence": max(narrow)})
            if kind == "normal":
                claims += [claims_row(found, seeds, deviation, size) for deviation in DEVIATIONS]
    return pd.DataFrame(coverage), pd.DataFrame(claims)


def claims_row(found: Intervals, seeds: int, deviation: float, family: int) -> dict:
    """What a study with this SD finds, by the true ratio; and the seeds that it needs."""
    return {
        "seeds": seeds,
        "SD": f"{deviation:g}",
        "seeds needed": f"{seeds_needed(deviation):.0f}",
        f"needed in a family of {family}": f"{seeds_needed(deviation, alpha=ALPHA / family):.0f}",
        "computed power at 1.05": f"{100 * power(seeds, deviation):.1f}",
        "found at 1.05": found.found(1.05, deviation),
        "at 1.02": found.found(1.02, deviation),
        "at 1.25": found.found(1.25, deviation),
        "equivalent at 1": found.equivalent(1.0, deviation),
        "equivalent at 1.02": found.equivalent(1.02, deviation),
        "falsely at 1.05": found.equivalent(1.05, deviation),
    }


def multiplier_table(studies: int) -> pd.DataFrame:
    """The median multiplier and the coverage of its interval, by seeds, curve and true multiplier."""
    rows = []
    for seeds in (SEEDS[0], SEEDS[-1]):
        for curve in CURVES:
            for true in MULTIPLIERS:
                random = np.random.default_rng(seeds)
                found = pd.DataFrame([simulate_multiplier(seeds, curve, true, random) for _ in range(studies)])
                low, high = found["multiplier_low"], found["multiplier_high"]
                row = {"seeds": seeds, "curve": curve, "true multiplier": f"{true:g}"}
                row["median"] = f"{found['multiplier'].median():.2f}"
                rows.append(row | {"coverage": share((low <= true) & (high >= true))})
    return pd.DataFrame(rows)


def crossed_table(studies: int) -> pd.DataFrame:
    """Coverage for new seeds and problems, of the crossed bootstrap and of the interval over seeds alone."""
    rows = []
    for seeds, problems in ((8, 1000), (12, 1000), (30, 1000), (30, 200)):
        random, crossed, by_seed = np.random.default_rng(seeds), [], []
        for _ in range(studies):
            errors, others = simulate_errors(seeds, problems, random)
            crossed.append(crossed_ratio(errors, others))
            by_seed.append(ratio_statistics(np.log(errors.mean(axis=1) / others.mean(axis=1))))
        covered = [share([row["ci_low"] <= 1 <= row["ci_high"] for row in each]) for each in (crossed, by_seed)]
        rows.append({"seeds": seeds, "problems": problems} | dict(zip(("crossed bootstrap", "seeds alone"), covered)))
    return pd.DataFrame(rows)


def simulation_tables(scale: float = 1.0) -> dict[str, pd.DataFrame]:
    """All tables by title, of `scale` times the usual number of studies. Shares are `Share`, other cells are text."""
    studies = {name: max(2, round(scale * count)) for name, count in STUDIES.items()}
    coverage, claims = interval_tables(studies)
    return {
        "Interval and claims": coverage,
        "Power and equivalence (normal differences)": claims,
        "Compute multiplier": multiplier_table(studies["multipliers"]),
        "Crossed bootstrap": crossed_table(studies["crossed"]),
    }


def table_markdown(table: pd.DataFrame) -> str:
    """A table in Markdown."""
    rows = [table.columns, ["---"] * table.shape[1], *table.itertuples(index=False)]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


def write_tables(tables: dict[str, pd.DataFrame], path: Path = DOCUMENT) -> None:
    """Store the tables between the two markers of the document. Raises `ValueError` if it lacks one."""
    text = path.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path} lacks a line {BEGIN.strip()} or {END.strip()}: add both, where the tables belong")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    parts = [f"### {title}\n\n{table_markdown(table)}\n" for title, table in tables.items()]
    path.write_text(before + BEGIN + "\n" + "".join(parts) + END + after)


def main() -> None:
    """Print the tables; store them with --write."""
    parser = argparse.ArgumentParser(prog="python -m anm.analysis.simulation", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="store the tables in docs/statistics.md")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the number of studies (default: 1)")
    options = parser.parse_args()
    tables = simulation_tables(options.scale)
    print("\n".join(f"{title}\n\n{table_markdown(table)}" for title, table in tables.items()))
    if options.write:
        write_tables(tables)


if __name__ == "__main__":
    main()
