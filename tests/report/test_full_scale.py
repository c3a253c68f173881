"""What a page says of the full scale: nothing was run, or a part of it, with its gate."""

import pytest
from records import make_record, write_notebook

from anm.report.full_scale import part_of_it


@pytest.mark.parametrize(("error", "outcome"), [(0.0097, "failed: the error of none, 0.0097"), (1e-3, "passed: ")])
def test_a_part_is_told_with_its_gate(tmp_path, error, outcome):
    for strategy in ("none", "adversarial"):
        record = make_record(strategy, seeds=(0, 1), n=20, mse=[error] * 2, batch_size=2048)
        write_notebook(tmp_path / f"{strategy}.ipynb", record)
    said = part_of_it(tmp_path)
    assert said.startswith("It was run in part: adversarial and none with ") and "2 seeds. Its gate " in said
    assert outcome in said


def test_without_the_baseline_nothing_is_told(tmp_path):
    write_notebook(tmp_path / "random.ipynb", make_record("random"))
    assert [part_of_it(folder) for folder in (None, tmp_path / "no", tmp_path)] == ["It was not run."] * 3
