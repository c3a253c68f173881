"""Gaps in a study: each is named."""

from records import make_record, write_notebook
from studies import TEN, write_study

from anm.analysis.folder import gather
from anm.analysis.gaps import missing
from anm.report import answer, run_tables


def test_every_gap_is_named(tmp_path):
    write_study(tmp_path, change=0.05)
    record = make_record("random", seeds=range(8))
    record["results"]["same"]["mse"][3] = None
    record["provenance"]["git_dirty"] = True
    write_notebook(tmp_path / "random.ipynb", record)
    write_notebook(tmp_path / "failed.ipynb", error=("TrainingError", "loss is not finite at step 3"))
    write_notebook(tmp_path / "killed.ipynb", records=0)
    write_notebook(tmp_path / "twice.ipynb", records=2)
    write_notebook(tmp_path / "more.part.ipynb", records=0)
    (tmp_path / "torn.ipynb").write_text("{")
    found = gather(tmp_path, plan=("none", "random", "adversarial", "ascent"))
    assert {r.path.name for r in found.refused} == {
        "failed.ipynb",
        "killed.ipynb",
        "twice.ipynb",
        "more.part.ipynb",
        "torn.ipynb",
    }
    said = "\n".join(missing(found))
    for part in (
        "there is no run of ascent",
        "random lacks seeds 8, 9",
        "random.ipynb: seed 3 has no finite MSE on same",
        "random.ipynb: its code differed from its commit",
    ):
        assert part in said
    text = str(run_tables.missing_and_refused(found))
    for name in (
        "failed.ipynb",
        "killed.ipynb",
        "twice.ipynb",
        "more.part.ipynb",
        "torn.ipynb",
        "loss is not finite at step 3",
    ):
        assert name in text
    assert "5 notebooks refused, 4 gaps" in str(answer.first_screen(found))


def test_a_complete_study_has_no_gap(tmp_path):
    found = write_study(tmp_path, change=0.05, random=0.02)
    assert missing(found) == [] and "Nothing that the plan asks for is missing" in str(
        run_tables.missing_and_refused(found)
    )
    assert "notice" not in str(answer.first_screen(found))


def test_a_setting_that_a_strategy_does_not_use_may_differ(tmp_path):
    write_notebook(tmp_path / "none.ipynb", make_record("none", mining_noise_scale=1.0))
    write_notebook(tmp_path / "adversarial.ipynb", make_record("adversarial"))
    assert not any("differ" in text for text in missing(gather(tmp_path)))


def test_runs_on_different_devices_are_not_paired(tmp_path):
    write_study(tmp_path, change=0.05)
    record = make_record("random", seeds=TEN)
    record["provenance"] |= {"device": "cuda", "machine": record["provenance"]["machine"] | {"gpu": "NVIDIA H100"}}
    write_notebook(tmp_path / "random.ipynb", record)
    assert (
        "mlp: the runs drew their problems on different devices (NVIDIA H100, cpu). Their random numbers differ, "
        "so the seeds are not paired." in missing(gather(tmp_path))
    )
