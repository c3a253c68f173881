"""Unusual records: every part of the page is made all the same."""

import re
from pathlib import Path

import pytest
from records import make_record, write_notebook

from anm.report import (
    answer,
    comparison_tables,
    data_files,
    figures,
    gallery,
    gather,
    observations,
    products,
    published_tables,
    run_tables,
    strategy_table,
    sweeps,
)
from anm.report.page import drawing

NOTEBOOK = (Path(__file__).resolve().parents[2] / "notebooks" / "analysis.py").read_text()
MODULES = (answer, comparison_tables, data_files, figures, gallery, observations, products)
MODULES += (published_tables, run_tables, strategy_table, sweeps)


def everything(found) -> str:
    """Everything that the analysis notebook displays."""
    return "\n".join(
        getattr(module, name)(found)
        for module in MODULES
        for name in re.findall(rf"^{module.__name__.rpartition('.')[2]}\.(\w+)\(study\)", NOTEBOOK, re.MULTILINE)
    )


ODD = {
    "nothing": [],
    "one run": [make_record()],
    "one seed": [make_record(seeds=[3]), make_record("random", seeds=[3])],
    "scores of zero": [make_record(mse=[0, 0, 0], mse_harder=[0, 0, 0]), make_record("adversarial", mse=[0, 0, 0])],
    "equal scores": [make_record(mse=[1.0] * 3), make_record("adversarial", mse=[1.0] * 3)],
    "no score": [
        make_record(mse=[0.0] * 3)
        | {"results": make_record()["results"] | {"same": make_record()["results"]["same"] | {"mse": [None] * 3}}}
    ],
    "another n": [make_record(n=4), make_record("random", n=5)],
    "n beyond bounds": [make_record(n=10**40)],
    "n of 0": [make_record(n=0)],
    "settings of any kind": [make_record(landscape_steps=[1, {"a": 2}], extra={"x": [1]}, long="y" * 10_000)],
    "characters that XML forbids": [make_record("a\x00\x08\u202eb\ud800"), make_record("none")],
    "three energies": [
        make_record(s, energy=e) for e in ("residual", "mlp", "bilinear") for s in ("none", "adversarial")
    ],
}


DRAWN = ("scores of zero", "characters that XML forbids")  # the other cases skip drawing, which takes seconds


@pytest.mark.parametrize("name", ODD)
def test_odd_records_make_a_page_all_the_same(tmp_path, name, monkeypatch):
    if name not in DRAWN:
        monkeypatch.setattr(drawing, "to_svg", lambda sheet, prefix: "<svg ></svg>")
    for place, record in enumerate(ODD[name]):
        write_notebook(tmp_path / f"run{place}.ipynb", record)
    text = everything(gather(tmp_path))
    text.encode()
    assert "nan" not in re.sub(r"<[^>]*>", " ", text).lower().split() and len(text) > 1000
