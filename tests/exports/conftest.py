"""A study to export: two complete notebooks, and one that was stopped."""

import pytest
from records import make_record, write_notebook


@pytest.fixture
def study(tmp_path):
    """The folder of the study, with a report beside the notebooks."""
    folder = tmp_path / "reports" / "small"
    write_notebook(folder / "none-mlp.ipynb", make_record("none", started="2025-01-02T03:04:05Z"))
    lost = make_record("adversarial", mse=[0.01, 0.02, 0.03])
    lost["results"]["harder"]["mse"][1] = None  # as of a seed whose answers were not finite
    write_notebook(folder / "adversarial mined.ipynb", lost)
    write_notebook(folder / "random-mlp.ipynb", error=("TrainingError", "step 7: loss of seed 1 is not finite"))
    write_notebook(folder / "summary.analysis.ipynb", records=0)
    (folder / "summary.html").write_text("<!doctype html>")
    return folder
