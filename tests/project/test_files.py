"""The house in order: one set of dependencies, parameter files, notebooks without outputs beside their scripts."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from anm.params import RunParams
from anm.registry import CHOICES
from anm.study.comparison import read_comparison_file
from anm.study.plan import STRATEGIES, load_yaml, plan_study
from anm.tasks import frozen_problems

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
# What a platform adds to the tested set by itself: CUDA's libraries with torch for NVIDIA, a few small ones elsewhere.
PLATFORM = re.compile(r"nvidia-|cuda-|triton|appnope|pywin|colorama")


def requirements() -> list[Requirement]:
    """Of the core and of the extra `test`, which names other extras of anm."""
    extras = PROJECT["optional-dependencies"]
    found = [Requirement(line) for line in PROJECT["dependencies"] + extras["test"]]
    (own,) = [need for need in found if need.name == "anm"]
    lines = [line for extra in own.extras for line in extras[extra]]
    return [need for need in [*found, *map(Requirement, lines)] if need.name != "anm"]


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), (
        "only exact versions, of no build and from no place"
    )
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def closure() -> dict[str, str]:
    """All that anm with its tests needs on this machine, name -> installed version."""
    found, seen, queue = {}, set(), requirements()
    while queue:
        need = queue.pop()
        name, extras = canonicalize_name(need.name), frozenset(need.extras)
        if (name, extras) not in seen:
            seen.add((name, extras))
            found[name] = metadata.version(name)
            further = map(Requirement, metadata.requires(name) or [])
            queue += [
                each
                for each in further
                if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras | {""})
            ]
    return found


def test_every_dependency_is_pinned_within_its_range():
    pinned = pins()
    for need in requirements():
        assert need.specifier.contains(pinned[canonicalize_name(need.name)]), need
    assert pinned["torch"] == "2.13.0"


def test_the_pinned_set_is_all_that_is_needed_and_no_more():
    needed = {name for name in closure() if not PLATFORM.match(name)}
    assert needed - {"setuptools"} == set(pins()) - {"setuptools"}


def test_this_environment_is_the_tested_one():
    pinned = pins()
    installed = {name: version.partition("+")[0] for name, version in closure().items() if name in pinned}
    differ = {
        name: f"{version} here, {pinned[name]} pinned" for name, version in installed.items() if version != pinned[name]
    }
    assert not differ


def test_environment_yml_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert python == f"python{PROJECT['requires-python']}"
    assert pip == "pip"
    assert packages == {"pip": ["-c constraints.txt", "-e .[test]"]}


def settings(run) -> dict:
    """A planned run's parameters, as if its checkpoints went to the usual folder."""
    return run.params.resolved() | {"checkpoint_dir": RunParams().checkpoint_dir}


def test_strategies_differ_in_the_strategy_alone():
    files = {strategy: load_yaml(ROOT / "params" / f"{strategy}.yaml") for strategy in STRATEGIES}
    assert {strategy: file.pop("strategy") for strategy, file in files.items()} == {
        strategy: strategy for strategy in STRATEGIES
    }
    assert files["none"] == files["random"] == files["adversarial"]


def test_the_recorded_study_is_what_was_declared():
    declared = dict(
        n=20,
        train_steps=100_000,
        batch_size=2048,
        learning_rate=1e-4,
        noise_levels=10,
        seeds="0-9",
        test_problems=20_000,
    )
    for strategy in STRATEGIES:
        by_hand = RunParams(**load_yaml(ROOT / "params" / f"{strategy}.yaml"))
        assert by_hand == RunParams(strategy=strategy, **declared)
    assert [settings(run) for run in plan_study("full")] == [
        RunParams(strategy=strategy, **declared).resolved() for strategy in STRATEGIES
    ]


def test_the_quick_scale_is_the_first_declared_regime_at_equal_compute():
    given = dict(learning_rate=0.005, seeds="0-7", test_problems=500, train_steps=2000)
    regime = dict(n=4, width=128, answer_bound=10, budget_steps=2000, schedule="wsd", batch_size=64)
    assert [settings(run) for run in plan_study("quick")] == [
        RunParams(strategy=strategy, **given, **regime).resolved() for strategy in STRATEGIES
    ]
    declared = read_comparison_file(ROOT / "params" / "comparisons" / "equal-compute.yaml")
    assert declared.budget("inverse-4") == 2000
    assert {name: getattr(declared.params("inverse-4", "random"), name) for name in regime} == regime


@pytest.mark.parametrize("study, steps", [("pilot", 10_000), ("paper", 1_300_000)])
def test_scales_change_how_long_not_what(study, steps):
    for short, full in zip(plan_study(study), plan_study("full")):
        differ = {name for name, value in settings(full).items() if settings(short)[name] != value}
        assert differ <= {"train_steps", "seeds"}
        assert short.params.train_steps == steps


PARAMETER_FILES = sorted((ROOT / "params").glob("*.yaml")) + sorted((ROOT / "params" / "tasks").glob("*.yaml"))


def test_every_task_has_a_parameter_file():
    files = {path.stem: RunParams(**load_yaml(path)) for path in PARAMETER_FILES if path.parent.name == "tasks"}
    assert {params.task for params in files.values()} == set(CHOICES["task"])
    for name, params in files.items():
        assert name.removesuffix("-small") == params.task
        # No right answer is cut off
        for difficulty in params.task_object().splits.values():
            answer = frozen_problems(params.task_object(), params.n, difficulty, 1000).answer
            assert answer.abs().max() <= params.answer_bound + 1e-6, name


@pytest.mark.parametrize("path", PARAMETER_FILES, ids=lambda path: path.name)
def test_every_parameter_file_is_accepted_and_explains_each_number(path):
    RunParams(**load_yaml(path))
    for line in path.read_text().splitlines():
        assert "#" in line, f"{line}: what is it, and why this value?"


def cells(notebook):
    return [(cell.cell_type, cell.source.rstrip(), tuple(cell.metadata.get("tags", ()))) for cell in notebook.cells]


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda path: path.stem)
def test_script_and_notebook_are_the_same_cells(script):
    assert cells(jupytext.read(script)) == cells(nbformat.read(script.with_suffix(".ipynb"), as_version=4))


def test_every_notebook_has_its_script():
    assert [path.stem for path in NOTEBOOKS] == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert {"train", "analysis"} <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs_and_no_long_cells(script):
    for cell in nbformat.read(script.with_suffix(".ipynb"), as_version=4).cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None
            assert "parameters" in cell.metadata.get("tags", ()) or len(cell.source.splitlines()) <= 15


def test_the_train_notebook_s_parameters_are_the_contract_s():
    notebook = nbformat.read(ROOT / "notebooks" / "train.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    values: dict = {}
    exec(cell.source, values)
    values.pop("__builtins__")
    assert values == RunParams().resolved()
