"""The study on record: the committed page says what the committed notebooks say, and would notice if they changed."""

import json
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

import anm
from anm.direct import read_direct
from anm.matrices import frozen_problems
from anm.record import MIME, read_run
from anm.report import build_report, gather
from anm.schema import clean
from anm.stats import MARGIN, compare

PROJECT = Path(__file__).resolve().parents[1]
REPORTS = PROJECT / "reports"
PAGE, RUNS = REPORTS / "summary.html", REPORTS / "cpu"


def says(page: Path) -> str:
    """What a page shows in words and numbers; drawings and digits beyond those shown may differ between machines."""
    text = re.sub(r"<svg.*?</svg>", "", page.read_text(), flags=re.DOTALL)
    return re.sub(r'(data-sort|href)="[^"]*"', "", text)


def shown_fingerprints(page: Path) -> set[str]:
    soup = BeautifulSoup(page.read_text(), "html.parser")
    return {cell["title"] for cell in soup.find_all("td", title=re.compile("^[0-9a-f]{64}$"))}


def test_the_committed_notebooks_make_the_committed_page(tmp_path):
    shutil.copytree(RUNS, tmp_path / "cpu")
    assert says(build_report(tmp_path / "cpu", tmp_path / "summary.html")) == says(PAGE)


def test_the_page_is_of_these_records_and_no_others():
    findings = gather(RUNS)
    assert not findings.refused and len(findings.records) >= 3
    assert shown_fingerprints(PAGE) == set(findings.fingerprints.values())


def test_a_notebook_that_is_gone_or_one_changed_number_is_noticed(tmp_path):
    shutil.copytree(RUNS, tmp_path / "cpu")
    gone, changed = sorted((tmp_path / "cpu").glob("*.ipynb"))[:2]
    notebook = json.loads(changed.read_text())
    (record,) = [
        output["data"][MIME]
        for cell in notebook["cells"]
        for output in cell.get("outputs", ())
        if MIME in output.get("data", {})
    ]
    record["curves"]["loss"][0][0] *= 1 + 1e-12
    changed.write_text(json.dumps(notebook))
    gone.unlink()
    assert len(shown_fingerprints(PAGE) - set(gather(tmp_path / "cpu").fingerprints.values())) == 2


def numbers(text: str) -> list[Decimal]:
    """The numbers in a cell of a table, in order, with as many digits as are written."""
    return [
        Decimal(number) for number in re.findall(r"[-+]?\d+(?:\.\d+)?(?:e-?\d+)?", text.replace("\N{MINUS SIGN}", "-"))
    ]


def same_as_written(value: float, written: Decimal) -> bool:
    """Whether a value rounds to what is written; in hundreds, the last zeros are no digits."""
    last = (written.normalize() if abs(written) >= 100 else written).as_tuple().exponent
    return abs(Decimal(value) - written) <= Decimal(
        (0, (6,), last - 1)
    )  # half of the last digit, or a little more where it was rounded twice


def table_rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def test_the_answer_in_the_readme_has_the_records_numbers():
    findings, text = gather(RUNS), (PROJECT / "README.md").read_text()
    rows = table_rows(text.partition("## The answer so far")[2].partition("\n## ")[0])
    means = findings.summary.set_index(["energy", "split", "strategy"])["mean"]
    pairs = findings.comparison[findings.comparison["against"] == "none"].set_index(["energy", "split", "strategy"])
    assert len(rows) == 2 * len(findings.energies)
    for where, *shown, difference in rows:
        energy, split = re.findall(r"`(\w+)`", where)
        for strategy, mean in zip(("none", "random", "adversarial"), shown, strict=True):
            assert same_as_written(means[energy, split, strategy], *numbers(mean)), (where, strategy)
        pair = pairs.loc[energy, split, "adversarial"]
        relative, low, high, p, *_ = numbers(difference)
        percent = 100 / means[energy, split, "none"]
        assert same_as_written(100 * pair["relative"], relative) and same_as_written(pair["p_holm"], p), where
        for bound, written in ((pair["ci_low"], low), (pair["ci_high"], high)):
            assert same_as_written(percent * bound, written), (where, percent * bound, written)


def test_the_figures_to_expect_are_the_records():
    means = gather(RUNS).summary.set_index(["energy", "strategy", "split"])["mean"]
    rows = [
        row
        for row in table_rows((PROJECT / "docs/reproduce.md").read_text())
        if row[0].strip("`") in means.index.levels[0]
    ]
    assert len(rows) == len(means) / 2
    for energy, strategy, same, harder in rows:
        for split, written in (("same", same), ("harder", harder)):
            assert same_as_written(means[energy.strip("`"), strategy, split], *numbers(written)), (
                energy,
                strategy,
                split,
            )


def test_what_the_strategies_did_has_the_numbers_of_its_scores():
    scores, text = pd.read_csv(PROJECT / "docs/catalogue.csv"), (PROJECT / "docs/catalogue.md").read_text()
    scores = scores[scores["study"] == "catalogue"]
    rows = {
        row[0].strip("`"): row[1:] for row in table_rows(text.partition("## The catalogue")[2].partition("\n## ")[0])
    }
    assert set(rows) == set(scores["strategy"]) == set(anm.params.CHOICES["strategy"])
    for place, split in enumerate(("same", "harder")):
        table = {
            strategy: dict(zip(part["seed"], part["mse"]))
            for strategy, part in scores[scores["split"] == split].groupby("strategy")
        }
        pairs = compare(table).query("against == 'none'").set_index("strategy")
        assert same_as_written(np.mean(list(table["none"].values())), *numbers(rows["none"][place]))
        for strategy, pair in pairs.iterrows():
            base = pair["margin"] / MARGIN
            found = [100 * value / base for value in (pair["mean_difference"], pair["ci_low"], pair["ci_high"])]
            written = numbers(rows[strategy][place].replace(",", ""))
            assert all(same_as_written(*both) for both in zip(found, written, strict=True)), (strategy, split, found)
            assert ("**" in rows[strategy][place]) == pair["significant"], (strategy, split)


def test_the_longer_descent_has_the_numbers_of_its_scores():
    """On the seeds that the sweep had not seen."""
    scores, text = pd.read_csv(PROJECT / "docs/catalogue.csv"), (PROJECT / "docs/catalogue.md").read_text()
    said = re.search(r"nine of nine: (.*?) on `same`, (.*?) on `harder`\*\*, p = (\S+) each", text)
    for written, split in zip(said.groups(), ("same", "harder")):
        none, ten = (
            scores[
                (scores["study"] == study)
                & (scores["strategy"] == strategy)
                & (scores["split"] == split)
                & (scores["seed"] > 2)
            ]
            for study, strategy in (("catalogue", "none"), ("longer-descent", "adversarial"))
        )
        pair = compare(
            {name: dict(zip(rows["seed"], rows["mse"])) for name, rows in (("none", none), ("ten", ten))}
        ).iloc[0]
        found = [
            100 * MARGIN * value / pair["margin"]
            for value in (pair["mean_difference"], pair["ci_low"], pair["ci_high"])
        ]
        assert (
            pair["n_seeds"] == 9
            and pair["p"] == pytest.approx(2 / 2**9)
            and same_as_written(pair["p"], Decimal(said[3]))
        )
        assert all(same_as_written(*both) for both in zip(found, numbers(written), strict=True)), found


def test_the_table_of_the_benchmark_is_its_record():
    eager, compiled = (
        json.loads((PROJECT / f"docs/benchmark/{how}.json").read_text())["steps"] for how in ("eager", "compiled")
    )
    expected = [
        [
            e["strategy"],
            f"{e['batch']}",
            f"{e['step_ms']:.0f}",
            f"{e['fraction_of_floor']:.0%}",
            f"{c['step_ms']:.0f}",
            f"{c['fraction_of_floor']:.0%}",
            f"{e['textbook_ms']:.0f}",
        ]
        for e, c in zip(eager, compiled, strict=True)
    ]
    rows = re.findall(
        r"^\| (none|random|adversarial) \| (\d+) \|(.*)\|$", (PROJECT / "README.md").read_text(), flags=re.MULTILINE
    )
    assert [[strategy, batch, *rest.replace(" ", "").split("|")] for strategy, batch, rest in rows] == expected


@pytest.mark.parametrize(
    "path", sorted([*RUNS.glob("*.ipynb"), *RUNS.glob("direct*.json")]), ids=lambda path: path.name
)
def test_every_recorded_run_was_made_with_committed_code(path):
    provenance = (read_run if path.suffix == ".ipynb" else read_direct)(path)["provenance"]
    assert provenance["git_dirty"] is False and re.fullmatch("[0-9a-f]{40}", provenance["git_commit"])


def test_it_is_small_enough_for_everybody_s_clone():
    assert PAGE.stat().st_size < 5_000_000
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "reports"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert sum((PROJECT / name).stat().st_size for name in tracked.split("\0") if name) < 20_000_000


@pytest.mark.parametrize("path", sorted(RUNS.glob("*.pt")), ids=lambda path: path.name)
def test_a_committed_checkpoint_is_the_solver_of_its_record(path):
    solver, record = anm.load(path, device="cpu"), read_run(path.with_suffix(".ipynb"))
    assert solver.params.resolved() | {"device": "", "checkpoint_dir": ""} == record["params"] | {
        "device": "",
        "checkpoint_dir": "",
    }
    assert clean(solver.history["mse_same"]) == record["curves"]["mse_same"]
    forming = record["results"]["forming"]
    test = frozen_problems(solver.params.n, 0.5, forming["problem"] + 1)
    rows = slice(forming["problem"], forming["problem"] + 1)
    ((_, x0),) = solver.answers(test.A[rows], test.start[rows])
    answer = np.add(
        forming["exact"], [moment["error"] for moment in forming["moments"] if not moment["refine_steps"]][-1]
    )
    np.testing.assert_allclose(x0[0, 0], answer, atol=1e-3)
