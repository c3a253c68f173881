"""The runs that a comparison's file declares, the files that are refused, and the commands for them."""

import subprocess
from pathlib import Path

import pytest

from anm.params import ParamError, RunParams
from anm.study import cli
from anm.study.comparison import (
    COMPARISON_FILE,
    best_trials,
    comparison_runs,
    copy_comparison_file,
    read_comparison_file,
)

ROOT = Path(__file__).resolve().parents[2]

TEXT = """
settings: {schedule: wsd, seeds: 0-2, width: 8, batch_size: 4}
regimes:
  inverse-3: {task: inverse, n: 3, budget_steps: 16}
  addition-3: {task: addition, n: 3, budget_steps: 2e1, arms: [none, long-search]}
arms:
  none: {}
  random:
  long-search: {strategy: adversarial, mining_opt_steps: 10, contrastive_weight: 1}
"""
TRIALS = """regime,arm,learning_rate,contrastive_weight,seeds,budget_steps,steps,error
inverse-3,none,0.002,0.5,1000,16,16,0.3
inverse-3,none,0.004,0.5,1000,16,16,0.2
inverse-3,none,0.008,0.5,1000,16,16,
inverse-3,long-search,0.002,1,1000,16,4,0.30
inverse-3,long-search,0.002,0.2,1000,16,4,0.29
inverse-3,random,0.002,0.5,1000,16,4,
"""
CELLS = [
    ("inverse-3", "none"),
    ("inverse-3", "random"),
    ("inverse-3", "long-search"),
    ("addition-3", "none"),
    ("addition-3", "long-search"),
]


@pytest.fixture(autouse=True)
def python_path(monkeypatch):
    """Gives PYTHONPATH, which a study extends, its value back."""
    monkeypatch.setenv("PYTHONPATH", "")


def written(folder, text=TEXT, trials=None):
    path = folder / "small.yaml"
    path.write_text(text)
    if trials is not None:
        path.with_suffix(".tuning.csv").write_text(trials)
    return path


def test_each_regime_has_a_run_for_each_of_its_arms(tmp_path):
    comparison = read_comparison_file(written(tmp_path))
    assert comparison.name == "small" and comparison.cells() == CELLS
    runs = comparison_runs(comparison, tmp_path / "reports")
    assert [run.path for run in runs] == [
        tmp_path / "reports" / "small" / f"{regime}--{arm}.ipynb" for regime, arm in CELLS
    ]


def test_a_run_and_its_papermill_arguments_have_the_settings_of_the_file(tmp_path):
    comparison = read_comparison_file(written(tmp_path))
    runs = comparison_runs(comparison, tmp_path)
    common = {"n": 3, "schedule": "wsd", "seeds": "0-2", "width": 8, "batch_size": 4}
    common |= {"checkpoint_dir": "checkpoints/small"}
    arm = {"strategy": "adversarial", "mining_opt_steps": 10, "contrastive_weight": 1.0}
    wanted = [
        RunParams(strategy="none", budget_steps=32, budget_points="0.125,0.25,0.5,1", **common),
        RunParams(strategy="random", budget_steps=16, budget_points="0.25,0.5,1", **common),
        RunParams(**arm, budget_steps=16, budget_points="0.25,0.5,1", **common),
        RunParams(strategy="none", task="addition", budget_steps=40, budget_points="0.125,0.25,0.5,1", **common),
        RunParams(**arm, task="addition", budget_steps=20, budget_points="0.25,0.5,1", **common),
    ]
    assert [run.params for run in runs] == wanted
    for run, params in zip(runs, wanted, strict=True):
        told = dict(zip(run.arguments[1::3], run.arguments[2::3], strict=True))
        assert set(run.arguments[::3]) == {"-p"} and RunParams(**told) == params
    assert [comparison.budget(regime) for regime in comparison.regimes] == [16, 20]


def test_points_of_an_arm_and_of_the_baseline_have_the_same_compute(tmp_path):
    """The baseline's budget is twice as large: its points are a quarter, a half, one and two budgets."""
    comparison = read_comparison_file(written(tmp_path))
    none, arm = (comparison.params("inverse-3", name) for name in ("none", "random"))
    shares = [share * none.budget_steps for share in none.fractions]
    assert shares == [4, 8, 16, 32] and [share * arm.budget_steps for share in arm.fractions] == shares[:-1]


def test_a_run_takes_the_settings_of_its_best_trial(tmp_path):
    comparison = read_comparison_file(written(tmp_path, trials=TRIALS))
    found = {cell: comparison.params(*cell) for cell in comparison.cells()}
    assert found["inverse-3", "none"].learning_rate == 0.004
    tuned = found["inverse-3", "long-search"]
    assert (tuned.learning_rate, tuned.contrastive_weight, tuned.mining_opt_steps) == (0.002, 0.2, 10)
    assert found["inverse-3", "none"].budget_steps == 32 and tuned.budget_steps == 16
    # Without a finished trial, or a trial of its own, an arm has the settings of the file
    (tmp_path / "untuned").mkdir()
    untuned = read_comparison_file(written(tmp_path / "untuned"))
    for cell in (("inverse-3", "random"), ("addition-3", "none"), ("addition-3", "long-search")):
        assert found[cell] == untuned.params(*cell)
    told = comparison_runs(comparison, tmp_path)[0].arguments
    assert told[told.index("learning_rate") + 1] == "0.004"


def test_only_the_trials_with_the_largest_budget_count(tmp_path):
    longer = TRIALS + "inverse-3,none,0.001,0.5,1000,32,32,0.25\n" + "inverse-3,none,0.006,0.5,1000,32,32,\n"
    comparison = read_comparison_file(written(tmp_path, trials=longer))
    assert comparison.params("inverse-3", "none").learning_rate == 0.001


def test_further_seeds_make_further_notebooks(tmp_path):
    comparison = read_comparison_file(written(tmp_path))
    further = comparison_runs(comparison, tmp_path, seeds="3,5")
    assert further[1].path.name == "inverse-3--random-seeds3_5.ipynb" and further[1].params.seeds == "3,5"
    assert further[1].arguments[further[1].arguments.index("seeds") + 1] == "3,5"
    again = comparison_runs(comparison, tmp_path, seeds="0,1,2")
    assert [run.path for run in again] == [run.path for run in comparison_runs(comparison, tmp_path)]


def test_the_file_and_its_trials_are_copied_beside_the_results(tmp_path):
    path, folder = written(tmp_path, trials=TRIALS), tmp_path / "reports" / "small"
    copy_comparison_file(path, folder)
    assert {kept.name for kept in folder.iterdir()} == {COMPARISON_FILE, "comparison.tuning.csv"}
    assert read_comparison_file(folder / COMPARISON_FILE) == read_comparison_file(path)
    copy_comparison_file(written(tmp_path, trials=TRIALS + "\n"), folder)  # a second time, over the first
    copy_comparison_file(written(tmp_path / "reports"), tmp_path / "other")
    assert [kept.name for kept in (tmp_path / "other").iterdir()] == [COMPARISON_FILE]


ARMS, REGIMES = "arms: {none: {}, random: {}}\n", "regimes: {a-3: {n: 3, budget_steps: 9}}\n"


@pytest.mark.parametrize(
    "text, said",
    [
        ("- none", "must hold lines of the form `name: value`"),
        ("regime: {}", "regime: there is no such part of a comparison. Did you mean 'regimes'? Allowed: settings, "),
        (ARMS, "regimes: must hold lines of the form `name: {setting: value, ...}`"),
        (REGIMES, "arms: must hold lines of the form"),
        (ARMS + "regimes: {}", "regimes: must hold lines"),
        (ARMS + "regimes: [a-3]", "regimes: must hold lines"),
        (ARMS + "regimes: {a-3: 3}", "regimes: a-3: must be {setting: value, ...}, not 3"),
        (ARMS + "regimes: {a--3: {budget_steps: 9}}", "regimes: 'a--3': must be a name of letters"),
        (ARMS + "regimes: {../a: {budget_steps: 9}}", "regimes: '../a': must be a name of letters"),
        (ARMS + "regimes: {3: {budget_steps: 9}}", "regimes: 3: must be a name of letters"),
        (ARMS + "regimes: {a-3: }", "a-3: budget_steps is missing; give the budget, in steps of none"),
        (ARMS + "regimes: {a-3: {n: 3}}", "a-3: budget_steps is missing"),
        (ARMS + "regimes: {a-3: {n: 3, budget_steps: 0}}", "a-3: budget_steps is missing"),
        (ARMS + "regimes: {a-3: {n: 3, budget_steps: many}}", "budget_steps = 'many': must be a whole number"),
        (ARMS + "regimes: {a-3: {n: 0, budget_steps: 9}}", "a-3, none: n = 0: must be a whole number"),
        (REGIMES + "arms: {random: {}}", "arms: none is missing, the baseline of every comparison; add `none: {}`"),
        (REGIMES + "arms: {none: {}, randm: {}}", "a-3, randm: strategy = 'randm': must be one of"),
        (REGIMES + "arms: {none: {}, random: {lr: 1}}", "lr = 1: there is no such parameter. Did you mean"),
        (REGIMES + "arms: {none: {}, other: [random]}", "arms: other: must be {setting: value, ...}, not ['random']"),
        (REGIMES + "arms: {none: {strategy: random}}", "arms: none: strategy = 'random': must be none; rename"),
        (REGIMES + ARMS + "settings: [n]", "settings: must hold lines of the form `name: value`"),
        (REGIMES + ARMS + "tuning: 3", "tuning: must hold lines of the form `name: value`"),
        (
            REGIMES + ARMS + "settings: {strategy: random}",
            "settings: all: strategy cannot be set here; it is set by arms",
        ),
        (ARMS + "regimes: {a-3: {budget_steps: 9, strategy: random}}", "a-3: strategy cannot be set here"),
        (ARMS + "regimes: {a-3: {budget_steps: 9, budget_points: 1}}", "budget_points cannot be set here"),
        (
            REGIMES + "arms: {none: {}, random: {budget_steps: 3}}",
            "budget_steps cannot be set here; it is set by settin",
        ),
        (REGIMES + "arms: {none: {}, random: {seeds: 3}}", "arms: random: seeds cannot be set here"),
        (REGIMES + "arms: {none: {}, random: {n: 4}}", "arms: random: n cannot be set here"),
        (
            ARMS + "regimes: {a-3: {budget_steps: 9, arms: none}}",
            "a-3: arms = 'none': must be a list of arms with none",
        ),
        (ARMS + "regimes: {a-3: {budget_steps: 9, arms: [random]}}", "a-3: arms = ['random']: must be a list"),
        (
            ARMS + "regimes: {a-3: {budget_steps: 9, arms: [none, pgd]}}",
            "must be a list of arms with none, of: none, ra",
        ),
        (ARMS + "regimes: {a-3: {budget_steps: 9, arms: [none, [random]]}}", "must be a list of arms with none"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(text, said, tmp_path):
    with pytest.raises(ParamError) as caught:
        read_comparison_file(written(tmp_path, text))
    assert said in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ParamError, match="absent.yaml: cannot be read"):
        read_comparison_file(tmp_path / "absent.yaml")


@pytest.mark.parametrize("trials", ["a,b\n1,2\n", TRIALS.replace("0.2\n", "low\n")])
def test_a_file_without_trials_is_refused(trials, tmp_path):
    with pytest.raises(ParamError, match=r"small.tuning.csv: is not a table of trials \(.*move it away"):
        read_comparison_file(written(tmp_path, trials=trials))
    assert best_trials(tmp_path / "absent.tuning.csv") == {}


@pytest.mark.parametrize("path", sorted((ROOT / "params" / "comparisons").glob("*.yaml")), ids=lambda path: path.name)
def test_every_comparison_of_the_project_can_be_run_and_has_its_array(path):
    runs = comparison_runs(read_comparison_file(path), ROOT / "reports")
    command = f"--array=0-{len(runs) - 1} slurm/papermill.sbatch --comparison params/comparisons/{path.name}"
    assert command in (ROOT / "slurm" / "papermill.sbatch").read_text()


def test_a_preflight_lists_the_runs_and_leaves_nothing_behind(tmp_path, capsys):
    path = written(tmp_path, TEXT.replace("{schedule", f"{{checkpoint_dir: {tmp_path}/checkpoints, schedule"))
    assert cli.main(["preflight", "--comparison", str(path), "--reports", str(tmp_path / "reports")]) == 0
    printed = capsys.readouterr().out
    assert "5 runs; as a Slurm array: --array=0-4" in printed and "ready" in printed
    assert "0: inverse-3--none, seeds 0-2, compute of 32 steps of none" in printed
    assert "4: addition-3--long-search, seeds 0-2, compute of 20 steps of none" in printed
    assert [left.name for left in tmp_path.iterdir()] == ["small.yaml"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--strategy", "random"], "--strategy: not allowed with --comparison; change its file, "),
        (["-p", "n", "4", "--chunks", "2"], "-p, --chunks: not allowed with --comparison"),
        (["-f", "small.yaml"], "-f: not allowed with --comparison"),
    ],
)
def test_options_that_a_comparison_would_ignore_are_refused(arguments, said, tmp_path, capsys):
    path = written(tmp_path)
    assert cli.main(["run", "--comparison", str(path), "--reports", str(tmp_path / "reports"), *arguments]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "reports").exists()


def test_a_sweep_and_a_comparison_at_once_are_refused(tmp_path, capsys):
    (tmp_path / "sweep.yaml").write_text("grid: {n: [3]}\n")
    files = ["--grid", str(tmp_path / "sweep.yaml"), "--comparison", str(written(tmp_path))]
    assert cli.main(["run", *files, "--reports", str(tmp_path / "reports")]) == 2
    assert "--comparison: not allowed with --grid" in capsys.readouterr().err


def test_one_run_of_a_comparison_is_a_task_of_an_array(tmp_path, monkeypatch):
    asked, path = [], written(tmp_path, trials=TRIALS)
    monkeypatch.setattr(cli, "run_all", lambda runs, wait: asked.extend(runs) or 0)
    arguments = ["run", "--comparison", str(path), "--reports", str(tmp_path / "reports"), "--cell", "2", "--of", "5"]
    assert cli.main(arguments) == 0
    assert [run.path.stem for run in asked] == ["inverse-3--long-search"]
    kept = read_comparison_file(tmp_path / "reports" / "small" / COMPARISON_FILE)
    assert kept.params("inverse-3", "long-search") == asked[0].params


@pytest.mark.parametrize(
    "given, full",
    [
        ([], True),
        (["--chunks", "5", "-p", "n", "4"], True),
        (["-f", "with--study.yaml"], True),
        (["--study", "pilot"], False),
        (["--chunks", "2", "--study=pilot"], False),
        (["--grid", "params/sweeps/mining.yaml"], False),
        (["--comparison", "params/comparisons/equal-compute.yaml"], False),
        (["--comparison=params/comparisons/equal-compute.yaml"], False),
    ],
)
def test_a_slurm_job_runs_the_full_study_unless_it_is_given_another(given, full):
    script = (ROOT / "slurm" / "papermill.sbatch").read_text()
    lines = [line for line in script.splitlines() if line.startswith(("options=", '[[ " $* "'))]
    command = "\n".join([*lines, 'printf "%s\\n" "${options[@]}"'])
    done = subprocess.run(["bash", "-c", command, "job", *given], capture_output=True, text=True, check=True)
    assert len(lines) == 2 and done.stdout.split() == (["--study", "full"] if full else []) + given
