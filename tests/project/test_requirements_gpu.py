"""requirements-gpu.txt: with torch and those packages alone, training, scoring and records work."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
TRAIN = """
import json, sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

class Installed(PathFinder):
    "Finds only the packages that the GPU machine has."
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else super().find_spec(name, path, target)

blocked, out = set(json.loads(sys.argv[1])), sys.argv[2]
sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Installed]

from datetime import UTC, datetime
import anm
from anm.benchmark import gpu  # the command can be imported
from anm.benchmark.gpu_scale import TINY
from anm.benchmark.staged_run import StagedRun
from anm.records import to_notebook
from pathlib import Path

params = anm.RunParams(**TINY, train_steps=4, seeds="0-1", device="cpu", compile="no", checkpoint_dir=out)
solver = anm.train(params, log=lambda line: None)
record = anm.run_record(solver, anm.evaluate(solver), datetime.now(UTC))
run = StagedRun(Path(out) / "gpu", 1, {})
run.store_record("none", record)
to_notebook.convert(run.folder / "records" / "none.json", Path(out) / "none.ipynb")
print(len(anm.read_run(Path(out) / "none.ipynb")["results"]["same"]["mse"]))
"""


def listed() -> dict[str, Requirement]:
    lines = (ROOT / "requirements-gpu.txt").read_text().splitlines()
    needs = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(need.name): need for need in needs}


def closure(*names: str) -> set[str]:
    """These distributions and what they need here."""
    found: set[str] = set()
    queue = list(names)
    while queue:
        name = canonicalize_name(queue.pop())
        if name not in found:
            found.add(name)
            needs = map(Requirement, metadata.requires(name) or [])
            queue += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def test_the_list_is_all_that_the_core_needs_beside_torch():
    given = closure("torch", "numpy")
    assert closure("einops", "pydantic", "pyyaml") - given == set(listed())


def test_versions_are_the_tested_ones():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines if "==" in line}
    for name, need in listed().items():
        assert str(need.specifier) == f"=={pinned[name]}"


def test_with_those_packages_alone_a_run_is_trained_scored_and_recorded(tmp_path):
    there = closure("torch", "numpy") | set(listed()) | {"anm"}
    modules = metadata.packages_distributions()
    blocked = [name for name, owners in modules.items() if not {canonicalize_name(owner) for owner in owners} & there]
    assert {"pandas", "papermill", "nbformat", "IPython", "psutil", "matplotlib"} <= set(blocked)
    command = [sys.executable, "-c", TRAIN, json.dumps(blocked), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == "2"
