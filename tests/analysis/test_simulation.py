"""The simulated studies: docs/statistics.md holds the tables that the code makes, and they say what they should."""

import re
import sys

import numpy as np
import pytest
from doc_text import PROJECT

from anm.analysis import simulation
from anm.analysis.log_ratios import power
from anm.analysis.simulation import KINDS, Share, simulate_intervals, simulation_tables, table_markdown, write_tables

DOCUMENT = PROJECT / "docs" / "statistics.md"
SHARE = re.compile(r"(\d+\.\d) ± (\d+\.\d)")


def stored_tables() -> dict[str, list[list[str]]]:
    """The cells of each table of the document, with the names of its columns, by title."""
    text = DOCUMENT.read_text().partition(simulation.BEGIN)[2].partition(simulation.END)[0]
    parts = re.findall(r"^### (.*)\n\n((?:\|.*\n)+)", text, re.MULTILINE)
    return {title: cells(table) for title, table in parts}


def cells(markdown: str) -> list[list[str]]:
    rows = [line.strip("| ").split(" | ") for line in markdown.splitlines()]
    return [rows[0], *rows[2:]]


def column(title: str, name: str, **where: str) -> list[tuple[float, float]]:
    """A column's shares and their errors, in percent, in the rows with these values."""
    names, *rows = stored_tables()[title]
    rows = [row for row in rows if all(row[names.index(key)] == value for key, value in where.items())]
    shares = [SHARE.fullmatch(row[names.index(name)]).groups() for row in rows]
    assert shares
    return [(float(value), float(error)) for value, error in shares]


@pytest.fixture(scope="module")
def few():
    """The tables of a fiftieth of the studies."""
    return simulation_tables(0.02)


def test_the_document_holds_the_tables_that_the_code_writes(few):
    stored = stored_tables()
    assert list(stored) == list(few)
    for title, table in few.items():
        names, *rows = cells(table_markdown(table))
        assert stored[title][0] == names and len(stored[title]) == 1 + len(rows)
        for row, known in zip(rows, stored[title][1:]):
            assert [bool(SHARE.fullmatch(cell)) for cell in row] == [bool(SHARE.fullmatch(cell)) for cell in known]


def test_fewer_studies_agree_within_their_monte_carlo_error(few):
    stored, compared = stored_tables(), 0
    for title, table in few.items():
        for row, known in zip(table.itertuples(index=False), stored[title][1:]):
            for mine, text in zip(row, known):
                if isinstance(mine, Share):
                    value, error = map(float, SHARE.fullmatch(text).groups())
                    assert abs(100 * mine.value - value) <= 4 * np.hypot(100 * mine.error, error), (title, row, text)
                    compared += 1
    assert compared > 100


def test_labels_and_computed_numbers_are_the_code_s(few):
    for title, table in few.items():
        names, *known = stored_tables()[title]
        fixed = [name for name in names if name != "median" and not isinstance(table[name][0], Share)]
        assert fixed
        for name in fixed:
            assert [str(value) for value in table[name]] == [row[names.index(name)] for row in known], (title, name)


def test_normal_differences_are_covered_in_93_to_97_percent():
    for seeds in ("8", "12", "30"):
        ((coverage, error),) = column("Interval and claims", "coverage", seeds=seeds, differences="normal")
        assert 93 <= coverage <= 97 and error < 0.5


@pytest.mark.parametrize("kind", ["normal", "heavy tails (t, 3 df)"])
def test_symmetric_differences_make_at_most_5_percent_false_claims(kind):
    for name in ("false claim in a family", "false equivalence"):
        assert all(value <= 5 + 2 * error for value, error in column("Interval and claims", name, differences=kind))


def test_the_power_that_was_found_is_the_computed_one():
    title = "Power and equivalence (normal differences)"
    names, *rows = stored_tables()[title]
    for row, (found, error) in zip(rows, column(title, "found at 1.05")):
        seeds, deviation = int(row[0]), float(row[1])
        computed = float(row[names.index("computed power at 1.05")])
        assert computed == pytest.approx(100 * power(seeds, deviation), abs=0.06)
        # the t test has a little more power than the sign-flip test with few flips
        assert -4 * error - (8 if seeds < 12 else 1.5) < found - computed < 4 * error + 1


def test_the_multiplier_and_the_crossed_bootstrap_cover():
    shares = column("Compute multiplier", "coverage", curve="power law, 4 points")
    assert len(shares) == 6 and all(abs(value - 95) <= 4 * error for value, error in shares)
    crossed, alone = (column("Crossed bootstrap", name) for name in ("crossed bootstrap", "seeds alone"))
    assert all(value > 88 for value, _ in crossed)
    assert all(mine[0] > other[0] for mine, other in zip(crossed, alone))


@pytest.mark.parametrize("kind", KINDS)
def test_simulated_differences_have_mean_0_and_sd_1(kind):
    differences = KINDS[kind](np.random.default_rng(0).standard_normal(400_000))
    assert differences.mean() == pytest.approx(0, abs=0.01)
    assert differences.std() == pytest.approx(1, rel=0.05)  # of t with 3 degrees of freedom, it converges slowly
    skewness = np.mean(differences**3)
    assert skewness == pytest.approx(2, abs=0.15) if kind.startswith("skewed") else True


def test_shifted_and_scaled_intervals_answer_for_every_ratio_and_sd():
    found = simulate_intervals(8, "normal", 60)
    assert found.found(1.0, 0.1) == found.found(1.0, 5) and found.found(1e9, 0.1).value == 1
    assert found.found(1.05, 0.05).value > found.found(1.05, 0.5).value
    assert found.equivalent(1.0, 1e-6).value == 1 and found.equivalent(1.0, 1.0).value == 0
    assert found.equivalent(1.06, 1e-6).value == found.equivalent(1 / 1.06, 1e-6).value == 0


def test_a_share_and_its_error():
    assert str(Share(0.95, 1000)) == "95.0 ± 0.7" and str(Share(0.0, 10_000)) == "0.0 ± 0.1"
    assert Share(0.5, 10_000).error == pytest.approx(0.005) and Share(1.0, 10).error > 0.05


def test_tables_are_stored_between_the_markers(tmp_path, few):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{simulation.BEGIN}old\n{simulation.END}after\n")
    for _ in range(2):  # the second time changes nothing
        write_tables(few, path)
        text = path.read_text()
        assert text.startswith(f"before\n{simulation.BEGIN}\n### Interval and claims\n\n| seeds | differences |")
        assert text.endswith(f"\n{simulation.END}after\n") and "old" not in text
    path.write_text("before\n")
    with pytest.raises(ValueError, match="lacks a line <!-- simulation: begin -->"):
        write_tables(few, path)


def test_the_command_prints_and_stores_the_tables(tmp_path, few, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "statistics.md"
    page.write_text(simulation.BEGIN + simulation.END)
    monkeypatch.setattr(simulation, "simulation_tables", lambda scale: {f"Scale {scale:g}": few["Crossed bootstrap"]})
    for arguments, stored in ((["--scale", "0.5"], False), (["--write"], True)):
        monkeypatch.setattr(sys, "argv", ["simulation", *arguments])
        simulation.main()
        assert ("### Scale 1" in page.read_text()) == stored
    assert "Scale 0.5\n\n| seeds | problems |" in capsys.readouterr().out
