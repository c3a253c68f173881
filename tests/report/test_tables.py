"""The tables of strategies, published figures, runs and data."""

import base64
import json
import re

from records import make_record, write_notebook
from studies import TEN, table_rows, write_study

from anm.analysis.folder import gather
from anm.report import data_files, published_tables, run_tables, strategy_table
from anm.report.page import anchor


def test_strategies_and_references_are_in_one_table(tmp_path):
    text = str(strategy_table.strategies(write_study(tmp_path, change=0.05)))
    for name in (
        "none",
        "adversarial",
        "constant: the mean answer",
        "affine: c₀I + c₁A",
        "polynomial in A, degree 10",
        "Newton-Schulz, 20 iterations",
        "LU in float64",
    ):
        assert f">{name}</th>" in text
    assert "+5.0\u202f%" in text and "published" not in text, "published figures are of another n"


def test_optimisation_steps_are_compared_with_the_published_ones(tmp_path):
    for strategy, mse in (("none", 0.01), ("adversarial", 0.02)):
        write_notebook(
            tmp_path / f"{strategy}.ipynb", make_record(strategy, n=20, mse=[mse] * 3, mse_harder=[20 * mse] * 3)
        )
    cells = table_rows(published_tables.optimisation_steps(gather(tmp_path)))
    # the synthetic error at k landscape steps per level is mse (1 + 1 / (k + 1)); ten levels
    assert cells[1] == ["0", "—", "—", "0.02000", "0.4000", "0.04000", "0.8000"]
    assert cells[4] == ["30", "0.0096", "0.209", "0.01250", "0.2500", "0.02500", "0.5000"]


def test_published_differences_are_compared(tmp_path):
    for strategy, factor in {"none": 1.0, "random": 0.9, "adversarial": 1.05}.items():
        mse = [factor * (0.01 + 1e-5 * seed) for seed in range(6)]
        write_notebook(
            tmp_path / f"{strategy}.ipynb",
            make_record(strategy, seeds=range(6), n=20, mse=mse, mse_harder=[20 * m for m in mse], train_steps=700),
        )
    table = published_tables.differences(gather(tmp_path))
    rows = [[*row[:4], row[4].split(" ")[0], row[5]] for row in table_rows(table)[1:]]
    assert rows == [
        ["prior study", "random against none", "same", "+0.40\u202f%", "−10\u202f%", "no"],
        ["prior study", "adversarial against none", "same", "+0.88\u202f%", "+5.0\u202f%", "yes"],
        ["IRED, contrast with mined negatives", "adversarial against none", "same", "−2.1\u202f%", "+5.0\u202f%", "no"],
        [
            "IRED, contrast with mined negatives",
            "adversarial against none",
            "harder",
            "−2.4\u202f%",
            "+5.0\u202f%",
            "no",
        ],
    ]
    assert "after 700 steps" in table


def test_every_seed_links_to_its_run(tmp_path):
    found = write_study(tmp_path, change=0.05)
    rows, origins = str(run_tables.seeds(found)), str(run_tables.provenance_table(found))
    assert rows.count(f'href="#{anchor("none.ipynb")}"') == 20 and f'id="{anchor("none.ipynb")}"' in origins
    assert "test-host: Test CPU, 2 cores, on cpu" in origins and "0123456789ab" in origins


def test_the_data_in_the_page_are_the_scores(tmp_path):
    found = write_study(tmp_path, change=0.05)
    files = {
        name: base64.b64decode(data).decode()
        for name, data in re.findall(
            r'download="([^"]*)" href="data:[^;]*;base64,([^"]*)"', str(data_files.downloads(found))
        )
    }
    assert set(files) == {"scores.csv", "comparisons.csv", "references.csv", "records.json"}
    assert len(files["scores.csv"].splitlines()) == 1 + 2 * 10 * 2
    data = json.loads(files["records.json"])
    assert "forming, worst" in data["left_out"] and "curves" not in data["left_out"]
    scores = found.records["none.ipynb"]["results"]
    whole = make_record("none", seeds=TEN, mse=scores["same"]["mse"], mse_harder=scores["harder"]["mse"])
    assert data["none.ipynb"] == without_pictures(whole)
    assert str(tmp_path) not in "".join(files.values())


def without_pictures(record):
    return record | {
        "results": {name: part for name, part in record["results"].items() if name not in ("forming", "worst")}
    }


def test_large_curves_are_left_out_and_the_data_say_so(monkeypatch):
    monkeypatch.setattr(data_files, "DATA_LIMIT", 100)
    data = json.loads(data_files.to_json({"a.ipynb": make_record()}))
    assert "curves" in data["left_out"] and "curves" not in data["a.ipynb"] and data["a.ipynb"]["results"]
