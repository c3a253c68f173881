"""The runs that a sweep's file defines, and the files that are refused."""

from pathlib import Path

import pytest

from anm.params import ParamError, RunParams
from anm.study import sweep
from anm.study.sweep import copy_sweep_file, read_sweep_file, sweep_runs

ROOT = Path(__file__).resolve().parents[2]

TEXT = """
strategies: [adversarial, random]
grid:
  mining_opt_steps: [0, 2]
  batch_size: [8, "16", 8]
settings: {n: 4, train_steps: 7, seeds: 0-2, contrastive_weight: 1e-1}
"""


def written(folder, text=TEXT, name="small.yaml"):
    path = folder / name
    path.write_text(text)
    return path


def names(runs):
    return [run.path.name.removesuffix(".ipynb") for run in runs]


def test_each_combination_is_a_run_and_none_has_one_per_setting_that_it_uses(tmp_path):
    runs = sweep_runs(read_sweep_file(written(tmp_path)), tmp_path)
    assert names(runs) == [
        "none-mlp-batch_size8",
        "none-mlp-batch_size16",
        "adversarial-mlp-mining_opt_steps0-batch_size8",
        "adversarial-mlp-mining_opt_steps0-batch_size16",
        "adversarial-mlp-mining_opt_steps2-batch_size8",
        "adversarial-mlp-mining_opt_steps2-batch_size16",
        "random-mlp-batch_size8",
        "random-mlp-batch_size16",
    ]
    assert {run.path.parent for run in runs} == {tmp_path / "small"}


def test_a_run_and_its_papermill_arguments_have_the_settings_of_the_cell(tmp_path):
    run = sweep_runs(read_sweep_file(written(tmp_path)), tmp_path)[3]
    wanted = RunParams(
        strategy="adversarial",
        mining_opt_steps=0,
        batch_size=16,
        n=4,
        train_steps=7,
        seeds="0-2",
        contrastive_weight=0.1,
        checkpoint_dir="checkpoints/small",
    )
    assert run.params == wanted
    told = dict(zip(run.arguments[1::3], run.arguments[2::3]))
    assert set(run.arguments[::3]) == {"-p"} and RunParams(**told) == wanted


def test_an_energy_can_be_an_axis(tmp_path):
    text = "grid: {energy: [mlp, residual], mining_opt_steps: [1, 3]}\n"
    assert names(sweep_runs(read_sweep_file(written(tmp_path, text)), tmp_path)) == [
        "none-mlp",
        "none-residual",
        "adversarial-mlp-mining_opt_steps1",
        "adversarial-mlp-mining_opt_steps3",
        "adversarial-residual-mining_opt_steps1",
        "adversarial-residual-mining_opt_steps3",
    ]


def test_further_seeds_make_further_notebooks(tmp_path):
    sweep = read_sweep_file(written(tmp_path))
    further = sweep_runs(sweep, tmp_path, seeds="3-5")
    assert further[0].path.name == "none-mlp-batch_size8-seeds3-5.ipynb" and further[0].params.seeds == "3-5"
    assert names(sweep_runs(sweep, tmp_path, seeds="0-2")) == names(sweep_runs(sweep, tmp_path))


def test_file_names_have_only_portable_characters(tmp_path):
    text = "grid: {mixture: ['random:0.5,pgd:0.5', 'random:1']}\nstrategies: [mixture]\n"
    assert names(sweep_runs(read_sweep_file(written(tmp_path, text)), tmp_path)) == [
        "none-mlp",
        "mixture-mlp-mixturerandom.0.5.pgd.0.5",
        "mixture-mlp-mixturerandom.1.0",
    ]


def test_the_standard_cell_is_at_the_defaults_or_the_first_value(tmp_path):
    text = "grid: {mining_opt_steps: [0, 2, 5], batch_size: [16, 32]}\n"
    assert read_sweep_file(written(tmp_path, text)).standard() == {"mining_opt_steps": 2, "batch_size": 16}


@pytest.mark.parametrize(
    "text, said",
    [
        ("axes: {n: [4]}", "axes: there is no such part of a sweep. Allowed: strategies, grid, settings"),
        ("gird: {n: [4]}", "Did you mean 'grid'?"),
        ("strategies: [none]", "grid: must hold lines"),
        ("grid: {}", "grid: must hold lines"),
        ("grid: {n: 4}", "grid: must hold lines"),
        ("grid: {n: []}", "grid: must hold lines"),
        ("grid: {n: [4, four]}", "n = 'four': must be a whole number"),
        ("grid: {rank: [4]}", "rank = 4: there is no such parameter. Did you mean 'n'?"),
        ("grid: {seeds: [1, 2]}", "seeds cannot be an axis"),
        ("grid: {device: [cpu]}", "device cannot be an axis"),
        ("grid: {strategy: [none]}", "strategy cannot be an axis"),
        ("grid: {n: [4]}\nsettings: {n: 4}", "n cannot be an axis, because it is a setting too"),
        ("grid: {n: [4]}\nsettings: [n]", "settings lines of the form"),
        ("grid: {n: [4]}\nsettings: {lr: 1}", "lr = 1: there is no such parameter"),
        ("grid: {n: [4]}\nstrategies: none", "strategies must be a list"),
        ("grid: {n: [4]}\nstrategies: [nne]", "strategy = 'nne'"),
        ("grid: {n: [4]}\nstrategies: [none]", "must name one besides none"),
        ("grid: {1: [2]}", "grid: must hold lines"),
        ("grid: {n: [4]}\nsettings: {1: 2}", "settings lines of the form"),
        ("grid: {n: [4]}\nsettings: {strategy: random}", "strategy = 'random': goes into the list of strategies"),
        ("grid: {n: [4]}\nstrategies: [[none]]", "strategies must be a list of names"),
        ("grid: {n: [4]}\nsettings: {seeds: 2024-13-45}", "is not YAML (month must be in 1..12"),
        ("- n", "must hold lines of the form `name: value`"),
    ],
)
def test_a_bad_sweep_file_is_refused_with_the_reason(text, said, tmp_path):
    with pytest.raises(ParamError) as caught:
        sweep_runs(read_sweep_file(written(tmp_path, text)), tmp_path)
    assert said in str(caught.value)


def test_mining_levels_are_checked_against_the_noise_levels_of_each_run(tmp_path):
    text = "grid: {noise_levels: [20], mining_levels: ['0-19']}"
    assert [
        run.params.mining_levels
        for run in sweep_runs(read_sweep_file(written(tmp_path, text)), tmp_path)
        if run.params.strategy != "none"
    ] == ["0-19"]
    with pytest.raises(ParamError, match="must be within the noise levels, 0-9"):
        sweep_runs(read_sweep_file(written(tmp_path, "grid: {mining_levels: ['0-19']}")), tmp_path)


def test_a_file_name_that_is_no_folder_name_is_refused(tmp_path):
    with pytest.raises(ParamError, match="called by its file's name"):
        sweep_runs(read_sweep_file(written(tmp_path, name="a b.yaml")), tmp_path)


def test_too_many_runs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "MAX_RUNS", 7)
    with pytest.raises(ParamError, match="8 runs; a sweep has at most 7"):
        sweep_runs(read_sweep_file(written(tmp_path)), tmp_path)


def test_the_sweep_file_is_copied_beside_the_results(tmp_path):
    path = written(tmp_path)
    copy_sweep_file(path, tmp_path / "reports" / "small")
    assert [kept.name for kept in (tmp_path / "reports" / "small").iterdir()] == ["grid.yaml"]
    kept, written_as = read_sweep_file(tmp_path / "reports" / "small" / "grid.yaml"), read_sweep_file(path)
    assert (
        kept.cells() == written_as.cells()
        and kept.params("none", kept.standard()).run_id() == written_as.params("none", written_as.standard()).run_id()
    )


@pytest.mark.parametrize("path", sorted((ROOT / "params" / "sweeps").glob("*.yaml")), ids=lambda path: path.name)
def test_every_sweep_of_the_project_can_be_run_and_names_its_array(path):
    runs = sweep_runs(read_sweep_file(path), ROOT / "reports")
    assert f"--array=0-{len(runs) - 1} slurm/papermill.sbatch --grid params/sweeps/{path.name}" in path.read_text()
