"""The order of the packages, the size of files and functions, lint and format."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "anm").rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}
FILE_LINES, FUNCTION_LINES, LOOP_LINES, COLUMNS = 300, 60, 100, 120


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


def test_packages_import_only_from_lower_ones_and_never_in_circles(monkeypatch, capsys):
    """The contracts in pyproject.toml."""
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True, no_logo=True) == 0, capsys.readouterr().out


def test_no_module_imports_its_own_package():
    """It would be a circle, since a package's `__init__` imports its modules."""
    graph = grimp.build_graph("anm", cache_dir=None)
    found = [(name, own) for name in MODULES for own in graph.find_modules_directly_imported_by(name)]
    assert [(name, own) for name, own in found if name.startswith(f"{own}.")] == []


def test_the_contract_names_every_package_and_the_top_level_holds_nothing_else():
    contract = (ROOT / "pyproject.toml").read_text().split("layers = [")[1].split("]")[0]
    top = {path.stem if path.suffix == ".py" else path.name for path in (ROOT / "anm").iterdir() if has_python(path)}
    assert {f"anm.{name}" for name in top - {"__init__"}} == set(contract.replace('"', "").replace(",", " ").split())
    assert {path.name for path in FILES if path.parent.name == "anm"} == {"__init__.py", "params.py", "registry.py"}


def has_python(path: Path) -> bool:
    return path.suffix == ".py" or path.is_dir() and any(path.rglob("*.py"))


def test_a_module_and_a_public_function_never_share_a_name():
    names = {name.rpartition(".")[2]: name for name in MODULES}
    shared = [
        f"{name}.{function.name} and {names[function.name]}"
        for name, path in MODULES.items()
        for function in ast.parse(path.read_text()).body
        if isinstance(function, ast.FunctionDef) and function.name in names
    ]
    assert not shared, "\n".join(shared)


def test_files_and_functions_are_short():
    long = [f"{name}: {lines} lines" for name, path in MODULES.items() if (lines := count(path)) > FILE_LINES]
    for name, path in MODULES.items():
        most = LOOP_LINES if name == "anm.training.loop" else FUNCTION_LINES
        lengths = {each.name: each.end_lineno - each.lineno + 1 for each in functions(path)}
        long += [f"{name}.{function}: {lines} lines" for function, lines in lengths.items() if lines > most]
    assert not long, "\n".join(long)


def count(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff_finds_nothing(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_no_line_is_longer_than_120_characters():
    """Styles and scripts too, which ruff does not read. Rows of Markdown tables cannot be wrapped.

    The declared comparison is left out: a declaration does not change.
    """
    kinds = (".py", ".css", ".js", ".yaml", ".toml", ".sh", ".sbatch")
    folders = ("anm", "docs/style", "notebooks", "params", "slurm", "tests")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in kinds]
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in paths + [ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / ".ci" / "run"]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > COLUMNS and not line.startswith("# |") and path.name != "equal-compute.yaml"
    ]
    assert not long, "\n".join(long)
