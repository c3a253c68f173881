"""The runs of a study, and the check whether they are finished."""

import pytest
from records import make_record, write_notebook

from anm.params import ParamError, RunParams
from anm.study.plan import STRATEGIES, finished, load_yaml, plan_study
from anm.utils.locations import FILES


def names(runs):
    return [run.path.name for run in runs]


def record_of(run, **other):
    """A record as this run would leave it."""
    settings = run.params.resolved() | other
    return make_record(
        settings["strategy"],
        run.params.seed_list,
        **{k: v for k, v in settings.items() if k not in ("strategy", "seeds")},
    )


def test_a_study_is_one_run_per_strategy(tmp_path):
    runs = plan_study("quick", reports=tmp_path)
    assert names(runs) == ["none-mlp.ipynb", "random-mlp.ipynb", "adversarial-mlp.ipynb"]
    assert {run.path.parent for run in runs} == {tmp_path / "quick"}
    assert runs[0].part.name == "none-mlp.part.ipynb"
    assert [run.params.strategy for run in runs] == list(STRATEGIES)


def test_later_parameters_win(tmp_path):
    more = tmp_path / "more.yaml"
    more.write_text("train_steps: 7\nbatch_size: 5\n")
    (run,) = plan_study("quick", ["random"], [more], [("batch_size", "6")])
    expected = {"strategy": "random", "train_steps": 7, "batch_size": 6, "checkpoint_dir": "checkpoints/quick"}
    quick = load_yaml(FILES / "params" / "quick.yaml")  # everything else is from here, or at its default
    assert run.params == RunParams(**quick | expected) and {"train_steps", "batch_size"} <= quick.keys()
    files = [FILES / "params" / "random.yaml", FILES / "params" / "quick.yaml", more]
    assert list(run.arguments) == [part for file in files for part in ("-f", str(file))] + [
        "-p",
        "strategy",
        "random",
        "-p",
        "checkpoint_dir",
        "checkpoints/quick",
        "-p",
        "batch_size",
        "6",
    ]


def test_each_study_has_its_own_checkpoint_folder_by_default(tmp_path):
    assert [plan_study(study, ["none"])[0].params.checkpoint_dir for study in ("quick", "pilot")] == [
        "checkpoints/quick",
        "checkpoints/pilot",
    ]
    scratch = tmp_path / "scratch.yaml"
    scratch.write_text("checkpoint_dir: scratch\n")
    assert plan_study("quick", ["none"], [scratch])[0].params.checkpoint_dir == "scratch"
    assert plan_study("quick", ["none"], settings=[("checkpoint_dir", "scratch")])[0].params.checkpoint_dir == "scratch"


def test_chunks_share_the_seeds_and_come_strategy_by_strategy():
    runs = plan_study("full", ["none", "random"], chunks=3)
    assert names(runs) == [
        f"{strategy}-mlp-seeds{seeds}.ipynb" for seeds in ("0-2", "3-5", "6-9") for strategy in ("none", "random")
    ]
    assert [run.params.seeds for run in runs[::2]] == ["0-2", "3-5", "6-9"]
    assert runs[2].arguments[-3:] == ("-p", "seeds", "3-5")


def test_the_seeds_option_wins_over_the_seeds_setting(tmp_path):
    (run,) = plan_study("full", ["none"], seeds="10-11", settings=[("seeds", "5")], reports=tmp_path)
    assert run.params.seed_list == (10, 11) and run.arguments[-2:] == ("seeds", "10,11") and "5" not in run.arguments


def test_a_finished_run_of_other_seeds_is_never_replaced(tmp_path):
    (run,) = plan_study("quick", ["none"], reports=tmp_path)
    write_notebook(run.path, record_of(run))
    other = tmp_path / "other.yaml"
    other.write_text("seeds: 8-9\n")
    (run,) = plan_study("quick", ["none"], [other], reports=tmp_path)
    with pytest.raises(
        ParamError, match=r"none-mlp.ipynb: holds a finished run of other seeds \(.*, and 8,9 asked for\).*--seeds 8,9"
    ):
        finished(run)


@pytest.mark.parametrize("how", [{"seeds": "10-19"}, {"settings": [("seeds", "10-19")]}])
def test_further_seeds_get_a_notebook_of_their_own(how):
    (run,) = plan_study("full", ["none"], **how)
    assert run.path.name == "none-mlp-seeds10-19.ipynb"
    assert run.params.seed_list == tuple(range(10, 20))


def test_seeds_with_gaps_make_a_plain_file_name():
    assert names(plan_study("quick", ["none"], seeds="4,7")) == ["none-mlp-seeds4_7.ipynb"]


def test_a_strategy_of_ones_own_needs_no_file(tmp_path):
    runs = plan_study("quick", ["math:floor"], reports=tmp_path)
    assert names(runs) == ["math.floor-mlp.ipynb"]
    assert runs[0].part.name == "math.floor-mlp.part.ipynb"


BAD = {
    "a study without parameters": (dict(study="pliot"), ["pliot", "params/pliot.yaml", "Did you mean 'pilot'?"]),
    "a study's name with a path": (dict(study="../quick"), ["'../quick'", "must be a name"]),
    "an unknown strategy": (dict(strategies=["adversial"]), ["strategy = 'adversial'", "Did you mean 'adversarial'?"]),
    "the strategy twice over": (dict(settings=[("strategy", "none")]), ["strategy = 'none'", "--strategy"]),
    "an unknown parameter": (dict(settings=[("batchsize", "4")]), ["batchsize = '4'", "Did you mean 'batch_size'?"]),
    "a bad value": (dict(settings=[("n", "1.5")]), ["n = '1.5'", "whole number"]),
    "falling seeds": (dict(seeds="9-0"), ["seeds = '9-0'", "0-9"]),
    "more chunks than seeds": (dict(chunks=9), ["chunks = 9", "8"]),
    "no chunk": (dict(chunks=0), ["chunks = 0", "1"]),
    "no such file": (dict(files=["absent.yaml"]), ["absent.yaml", "cannot be read"]),
    "a file that is no mapping": (dict(files=[FILES / "slurm" / "logs" / ".gitkeep"]), [".gitkeep", "name: value"]),
}


@pytest.mark.parametrize("study", ["full", "pilot", "paper", "quick", "cpu", "catalogue", "bilinear"])
def test_every_scale_is_the_same_for_strategies_without_a_file_of_their_own(study):
    first, *others = plan_study(study, ["none", "in_batch", "math:floor"])
    assert all(run.params == RunParams(**first.params.resolved() | {"strategy": run.params.strategy}) for run in others)


def test_strategies_at_different_settings_are_refused(tmp_path):
    """params/none.yaml has settings of its own; the strategy without a file would be at the defaults."""
    (tmp_path / "mine.yaml").write_text("train_steps: 7\n")
    with pytest.raises(
        ParamError, match="batch_size = 2048 for none, 64 for in_batch: strategies are compared at the same settings"
    ):
        plan_study("mine", ["none", "in_batch"], [tmp_path / "mine.yaml"])
    assert len(plan_study("mine", ["in_batch"], [tmp_path / "mine.yaml"])) == 1


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_name_value_and_what_is_allowed(case):
    arguments, words = BAD[case]
    with pytest.raises(ParamError) as error:
        plan_study(**{"study": "quick"} | arguments)
    for word in words:
        assert word in str(error.value)


def test_a_finished_run_is_recognised(tmp_path):
    (run,) = plan_study("quick", ["random"], reports=tmp_path)
    assert finished(run) is None
    write_notebook(run.path, record_of(run))
    assert finished(run) == "random-mlp.ipynb"


def test_a_finished_run_may_differ_in_settings_that_do_not_change_the_result(tmp_path):
    (run,) = plan_study("quick", ["random"], reports=tmp_path)
    write_notebook(run.path, record_of(run, device="cuda", checkpoint_dir="elsewhere", resume=False))
    assert finished(run) == "random-mlp.ipynb"


def test_an_unfinished_notebook_does_not_count(tmp_path):
    (run,) = plan_study("quick", ["random"], reports=tmp_path)
    write_notebook(run.part, record_of(run))
    assert finished(run) is None


@pytest.mark.parametrize("name, value", [("train_steps", 7), ("test_problems", 7), ("landscape_steps", 7)])
def test_a_finished_run_with_other_parameters_is_not_replaced(tmp_path, name, value):
    (run,) = plan_study("quick", ["random"], reports=tmp_path)
    write_notebook(run.path, record_of(run, **{name: value}))
    with pytest.raises(ParamError, match=rf"{name} = 7 there, {run.params.resolved()[name]} asked for.*--study"):
        finished(run)


def test_a_record_older_than_a_parameter_ran_with_its_default(tmp_path):
    (run,) = plan_study("quick", ["random"], reports=tmp_path)
    record = record_of(run)
    del record["params"]["landscape_steps"]
    write_notebook(run.path, record)
    assert finished(run) == "random-mlp.ipynb"
    (other,) = plan_study("quick", ["random"], settings=[("landscape_steps", 3)], reports=tmp_path)
    with pytest.raises(ParamError, match="landscape_steps = 5 there, 3 asked for"):
        finished(other)


def test_a_notebook_without_a_run_is_not_replaced(tmp_path):
    (run,) = plan_study("quick", ["random"], reports=tmp_path)
    write_notebook(run.path, error=("ValueError", "boom"))
    with pytest.raises(ParamError, match="not a complete run.*boom.*move it away"):
        finished(run)


def test_finished_chunks_together_count_as_the_run(tmp_path):
    (whole,) = plan_study("quick", ["random"], reports=tmp_path)
    first, second = plan_study("quick", ["random"], chunks=2, reports=tmp_path)
    write_notebook(first.path, record_of(first))
    with pytest.raises(ParamError, match=r"already in random-mlp-seeds0-3.ipynb; ask for the others: --seeds 4-7"):
        finished(whole)
    assert finished(second) is None
    write_notebook(second.path, record_of(second))
    assert finished(whole) == "random-mlp-seeds0-3.ipynb, random-mlp-seeds4-7.ipynb"
