"""A model card of the trained energies in a folder: MODEL_CARD.md, every number from their executed notebooks.

Source: Mitchell et al. 2019, Model Cards for Model Reporting, arXiv 1810.03993; its sections, as far as they apply.
"""

import hashlib
import statistics
from pathlib import Path

from anm.baselines.floors import PROBLEMS, read_floors
from anm.params import ParamError, RunParams, parse_seeds
from anm.records.schema import SPLITS
from anm.report.formatting import counted, number, range_text

CARD = "MODEL_CARD.md"
HEAD = """---
license: mit
library_name: anm
tags: [energy-based-model, diffusion, reasoning]
---

# Trained energies

`anm export model-card {folder}` made this page from the executed notebooks beside the energies.

**Use.** Research on solvers that descend a learned energy. Every file holds a stack of seeds, and `solve` gives one
answer per seed. **Not for** other problems than those of the task, and not for computing what a classical method
computes: the tables have its error (*limit*). **Ethics.** Training used random numbers, no data of persons.

```python
import anm

solver = anm.load("{first}")
X = solver.solve(problem)    # problem (B, *problem shape) -> X (seeds, B, *answer shape)
```
"""


def write_model_card(records: dict[Path, dict], output: Path, study: str) -> None:
    """Write the card of all checkpoints that lie beside their notebooks. Raises `ParamError` if there is none."""
    trained = {path.with_suffix(".pt"): record for path, record in records.items() if path.with_suffix(".pt").is_file()}
    if not trained:
        raise ParamError(f"{study}: no checkpoint <run>.pt beside a notebook <run>.ipynb; copy one there first")
    head = HEAD.format(folder=f"reports/{study}", first=next(iter(trained)).stem)
    output.mkdir(parents=True, exist_ok=True)
    (output / CARD).write_text("\n".join([head, *(section(path, record) for path, record in trained.items())]))


def section(path: Path, record: dict) -> str:
    """The part of one energy."""
    params, source, machine = record["params"], record["provenance"], record["provenance"]["machine"]
    seeds = len(parse_seeds(params["seeds"]))
    content = path.read_bytes()
    where = f"{counted(machine['cores'], 'core')} of {machine['cpu']}, GPU: {machine['gpu'] or 'none'}"
    code = f"anm {source['anm']}, commit {source['git_commit'] or 'unknown'}, torch {source['torch']}"
    rows = {
        "energy, strategy": f"`{params['energy']}`, `{params['strategy']}`",
        "file": f"{path.name}, {len(content) / 1000:.0f} kB, SHA-256 `{hashlib.sha256(content).hexdigest()}`",
        "notebook": f"[{path.stem}.ipynb]({path.stem}.ipynb)",
        "seeds": f"{params['seeds']}: {counted(seeds, 'network')} in one stack",
        "training": f"{counted(params['train_steps'], 'step')} of batch {params['batch_size']} on `same` problems, "
        f"Adam, learning rate {params['learning_rate']:g}; averaged weights",
        "solving": f"{params['noise_levels']} noise levels, {params['landscape_steps']} landscape steps each; entries "
        f"of an answer are at most {params['answer_bound']:g}",
        "time": f"{number(source['train_seconds'])} s of training on {where}",
        "code": code,
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"## {path.stem}\n\n{task_text(params)}\n\n| | |\n|---|---|\n{table}\n\n{score_lines(record)}\n"


def task_text(params: dict) -> str:
    """What the energy solves."""
    text = " ".join(RunParams(task=params["task"], n=params["n"]).task_object().description().split())
    return f"**Task** `{params['task']}`, n = {params['n']}. {text.partition(': ')[2]}"


def score_lines(record: dict) -> str:
    """Scores of the frozen test problems, beside references, and of other kinds of problems."""
    results, params = record["results"], record["params"]
    lines = ["| error: lowest, median and highest seed | problems | `same` | `harder` |", "|---|---|---|---|"]
    values = [three(results[split]["mse"]) for split in SPLITS]
    lines.append(row("this energy", results["same"]["problems"], *values))
    for entry in results.get("thinking", ()):
        if entry["refine_steps"] == 10:
            name = "with 10 steps of conjugate gradients (`refine_steps=10`)"
            lines.append(row(name, entry["problems"], *(three(entry[split]) for split in SPLITS)))
    floors = read_floors()
    floors = floors[(floors["task"] == params["task"]) & (floors["n"] == params["n"])]
    for floor in floors[floors["kind"].isin(["constant", "least squares", "limit"])].to_dict("records"):
        name = f"{floor['reference']}, without training ({floor['kind']})"
        lines.append(row(name, PROBLEMS, number(floor["same"]), number(floor["harder"])))
    return "\n".join([*lines, "", other_problems(results, params["n"])]).rstrip()


def other_problems(results: dict, n: int) -> str:
    """Errors on sizes and spectra that were not trained on; empty where the energy takes no other."""
    lines = ["| not trained on: lowest to highest seed | problems | as it is | refined |", "|---|---|---|---|"]
    for entry in results.get("sizes", ()):
        if entry["n"] != n:
            name = f"n = {entry['n']}, `{entry['split']}`: error"
            lines.append(row(name, entry["problems"], span(entry["mse"]), span(entry["mse_refined"])))
    for entry in results.get("spectra", ()):
        name = f"spectrum {entry['spectrum']}: error over the answers' mean square"
        lines.append(row(name, entry["problems"], span(entry["relative"]), span(entry["relative_refined"])))
    return "\n".join(lines) if len(lines) > 2 else ""


def row(*cells) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def three(values: list[float | None]) -> str:
    """The lowest, the median and the highest value; a seed without a finite value is named."""
    known = [value for value in values if value is not None]
    lost = f"; {counted(len(values) - len(known), 'seed')} not finite" if len(known) < len(values) else ""
    return ", ".join(map(number, (min(known), statistics.median(known), max(known)))) + lost if known else "not finite"


def span(values: list[float | None]) -> str:
    """The lowest and the highest value."""
    known = [value for value in values if value is not None]
    return range_text(min(known), max(known), 3) if known else "not finite"
