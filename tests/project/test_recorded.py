"""The study on record: the committed page says what the committed notebooks hold, and would notice if they changed."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup

import anm
from anm.records.feed_forward import read_feed_forward
from anm.records.read import MIME, read_run
from anm.records.schema import clean
from anm.report import build_report, gather
from anm.tasks.frozen import frozen_problems

PROJECT = Path(__file__).resolve().parents[2]
REPORTS = PROJECT / "reports"
RUNS = REPORTS / "cpu"
PAGE = RUNS / "summary.html"


def says(page: Path) -> str:
    """What a page shows in words and numbers; drawings and digits beyond those shown may differ between machines."""
    text = re.sub(r"<svg.*?</svg>", "", page.read_text(), flags=re.DOTALL)
    return re.sub(r'(data-sort|href)="[^"]*"', "", text)


def shown_fingerprints(page: Path) -> set[str]:
    soup = BeautifulSoup(page.read_text(), "html.parser")
    return {cell["title"] for cell in soup.find_all("td", title=re.compile("^[0-9a-f]{64}$"))}


def test_the_committed_notebooks_make_the_committed_page(tmp_path):
    shutil.copytree(RUNS, tmp_path / "cpu")
    assert says(build_report(tmp_path / "cpu")) == says(PAGE)


def test_the_page_is_of_these_records_and_no_others():
    results = gather(RUNS)
    assert not results.refused and len(results.records) >= 3
    assert shown_fingerprints(PAGE) == set(results.fingerprints.values())


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


@pytest.mark.parametrize(
    "path", sorted([*RUNS.glob("*-*.ipynb"), *RUNS.glob("direct*.json")]), ids=lambda path: path.name
)
def test_every_recorded_run_was_made_with_committed_code(path):
    provenance = (read_run if path.suffix == ".ipynb" else read_feed_forward)(path)["provenance"]
    assert provenance["git_dirty"] is False and re.fullmatch("[0-9a-f]{40}", provenance["git_commit"])


def test_it_is_small_enough_for_everybody_s_clone():
    assert PAGE.stat().st_size < 5_000_000
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "reports"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert sum((PROJECT / name).stat().st_size for name in tracked.split("\0") if name) < 50_000_000


@pytest.mark.parametrize("path", sorted(RUNS.glob("*.pt")), ids=lambda path: path.name)
def test_a_committed_checkpoint_is_the_solver_of_its_record(path):
    solver, record = anm.load(path, device="cpu"), read_run(path.with_suffix(".ipynb"))
    assert solver.params.resolved() | {"device": "", "checkpoint_dir": ""} == record["params"] | {
        "device": "",
        "checkpoint_dir": "",
    }
    assert clean(solver.history["mse_same"]) == record["curves"]["mse_same"]
    forming = record["results"]["forming"]
    frozen = frozen_problems(solver.params.task_object(), solver.params.n, 0.5, forming["problem"] + 1)
    rows = slice(forming["problem"], forming["problem"] + 1)
    ((_, x0),) = solver.answers(frozen.problem[rows], frozen.start[rows])
    answer = np.add(
        forming["exact"], [moment["error"] for moment in forming["moments"] if not moment["refine_steps"]][-1]
    )
    np.testing.assert_allclose(x0[0, 0], answer, atol=1e-3)
