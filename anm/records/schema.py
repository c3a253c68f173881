"""The contents of a run's record (schema 1), and the check of a record against them."""

import math
import re
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from anm.params import parse_seeds

SCHEMA = 1
SPLITS = ("same", "harder")  # the names of the two frozen test sets


def length(name: str, more: int = 0, new: bool = False) -> BeforeValidator:
    """The check that a list has `more` entries than the length of this name, which the context holds.

    A length that is not known yet is set by the first list that has it; with `new`, by this list.
    """

    def check(value, info: ValidationInfo):
        if isinstance(value, list):
            if new:
                info.context.pop(name, None)
            wanted = info.context.setdefault(name, len(value) - more) + more
            if len(value) != wanted:
                raise PydanticCustomError("length", f"has {len(value)} entries where {wanted} belong ({name})")
        return value

    return BeforeValidator(check)


def set_lengths(seeds, info: ValidationInfo):
    """Enters the lengths that the parameters give into the context. Raises `ValueError` on seeds that are none."""
    info.context.update({name: info.data[name] for name in ("n", "noise_levels") if name in info.data})
    info.context["seeds"] = len(parse_seeds(seeds))
    return seeds


# Kinds of values. Null stands for a number that is not finite or was not measured.
Number = Annotated[float, Field(gt=-1e300, lt=1e300)]
Size = Annotated[float, Field(ge=0, lt=1e300)]
Count = Annotated[int, Field(ge=0, lt=2**63)]

# Lists with one entry per seed, noise level and so on. A bin is a range of condition numbers.
Item = TypeVar("Item")
PerSeed = Annotated[list[Item], length("seeds")]
PerLevel = Annotated[list[Item], length("noise_levels")]
PerStep = Annotated[list[Item], length("recorded steps")]
PerValidation = Annotated[list[Item], length("validations")]
PerNewBin = Annotated[list[Item], length("bins", new=True)]
PerBin = Annotated[list[Item], length("bins")]
PerEdge = Annotated[list[Item], length("bins", more=1)]
Matrix = Annotated[list[Annotated[list[Item], length("n")]], length("n")]

Errors = PerSeed[Size | None]
SeedCurve = PerStep[PerSeed[Number | None]]
LevelCurve = PerStep[PerLevel[Number | None]] | None  # null: the strategy has no such quantity


class Entry(BaseModel):
    """A part of a record. An entry with a default may be missing, as in older records; further entries are ignored."""

    model_config = ConfigDict(strict=True)


def entry(base: type[Entry] = Entry, **parts) -> type[Entry]:
    """A short kind of entry: the parts of `base`, then these parts, each with its type."""
    return pydantic.create_model("Entry", __base__=base, **{name: (kind, ...) for name, kind in parts.items()})


class Params(Entry):
    strategy: str
    energy: str
    n: Count
    noise_levels: Count
    train_steps: Count
    batch_size: Count
    seeds: Annotated[Any, AfterValidator(set_lengths)]


Machine = entry(host=str, cpu=str, cores=Count, gpu=str | None)


class Provenance(Entry):
    git_commit: str | None
    git_dirty: bool | None
    anm: str
    python: str
    torch: str
    device: str
    machine: Machine
    started: str
    seconds: Size | None
    train_seconds: Size | None
    seconds_per_step: Size | None
    evaluate_seconds: Size | None
    resumed: Count
    peak_memory_mib: Size | None
    compiled: bool


class PerSplit(Entry, Generic[Item]):
    same: Item
    harder: Item


ByCondition = entry(problems=PerNewBin[Count], edges=PerEdge[Number], mse=PerBin[Errors])
PlainScores = entry(offset=Number, problems=Count, mse=Errors)
OffsetScores = entry(PlainScores, mse_se=Errors)


class SplitScores(OffsetScores):
    residual: Errors | None  # null: nobody can tell how wrong an answer is
    by_condition: ByCondition = None  # only of a task whose problems have a condition number
    other: dict[str, Errors] = {}  # further scores of the task


LandscapeStepScores = entry(PerSplit[Errors], steps=Count, problems=Count)
# refine_steps: of conjugate gradients
Refinement = entry(landscape_steps=Count, refine_steps=Count, problems=Count, products=Count | None)


class RefinedScores(Refinement):
    same: Errors
    harder: Errors
    hardest: Errors = None  # only of a task with a ladder of difficulties


SizeTest = entry(n=Count, split=str, problems=Count, refine_steps=Count)
SizeScores = entry(SizeTest, mse=Errors, mse_refined=Errors)
SpectrumTest = entry(spectrum=str, problems=Count, condition=Number | None, refine_steps=Count)
SpectrumScores = entry(SpectrumTest, relative=Errors, relative_refined=Errors)
Problem = entry(split=str, problem=Count, condition=Number | None, exact=Matrix[Number])
WorstAnswer = entry(Problem, error=Matrix[Number | None])
# level: null before the first landscape step
Moment = entry(level=Count | None, refine_steps=Count, error=Matrix[Number | None])
FormingAnswer = entry(Problem, moments=list[Moment])


# scaled: the error after one fitted scalar per seed; errors: of every problem, read by records.problem_errors
PointScores = entry(mse=Errors, scaled=Errors, scale=PerSeed[Number | None], errors=str)
Point = entry(share=Size, steps=Count, flops=Count, problems=Count)


class BudgetPoint(Point):
    same: PointScores
    harder: PointScores = None  # not of early points


class Results(PerSplit[SplitScores]):
    ladder: list[OffsetScores] = []
    landscape_steps: list[LandscapeStepScores] = []
    thinking: list[RefinedScores] = []
    thinking_only: list[RefinedScores] = []
    sizes: list[SizeScores] = []
    spectra: list[SpectrumScores] = []
    forming: FormingAnswer = None
    worst: list[WorstAnswer] = []
    budgets: list[BudgetPoint] = []


class LevelCurves(Entry):
    denoise: LevelCurve
    energy_positive: LevelCurve
    energy_negative: LevelCurve
    distance: LevelCurve
    accepted: LevelCurve
    clipped: LevelCurve = None
    residual: LevelCurve = None
    false: LevelCurve = None


class Curves(Entry):
    step: PerStep[Count]
    loss: SeedCurve
    denoise: SeedCurve
    contrast: SeedCurve
    grad_norm: SeedCurve
    by_level: LevelCurves
    mse_step: PerValidation[Count]
    mse_same: PerValidation[Errors]


class Landscape(Entry):
    level: PerLevel[Count]
    energy_before: PerLevel[PerSeed[Number | None]]
    energy_after: PerLevel[PerSeed[Number | None]]
    accepted: PerLevel[PerSeed[Number | None]]
    mse: PerLevel[Errors]


# FLOPs of a training step per seed: of this strategy, and of `none` at the same settings
Compute = entry(step_flops=Count, baseline_flops=Count, steps=Count)


class RunRecord(Entry):
    params: Params
    compute: Compute = None
    provenance: Provenance
    results: Results
    curves: Curves
    landscape: Landscape


class FeedForwardRecord(Entry):
    layers: str
    params: Params
    provenance: Provenance
    results: PerSplit[PlainScores]


class RecordError(ValueError):
    """A run that cannot be used. `reason` is one line of plain text; the message starts with the file."""

    def __init__(self, reason: str, path: str | Path | None = None):
        self.reason, self.path = plain(reason), path
        super().__init__(f"{path}: {self.reason}" if path is not None else self.reason)


def check_record(record, kind: type[Entry] = RunRecord) -> Entry:
    """The record with its types. Raises `RecordError`, naming the entry, unless it is of schema 1 and shapes agree."""
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise RecordError(f"the record's schema is {found!r}; this version reads {SCHEMA}")
    for name in record.keys() - {"params", "provenance"}:
        refuse_non_finite(record[name], name)
    try:
        return kind.model_validate(record, context={})
    except ValidationError as error:
        raise RecordError(describe(error.errors()[0])) from None


def describe(problem: dict) -> str:
    """The entry's name and what is wrong with it, from one of pydantic's errors."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
    match problem["type"]:
        case "missing":
            return f"{where} is missing"
        case "length":
            return f"{where} {problem['msg']}"
        case "list_type" | "model_type" as wanted:
            wanted = "list" if wanted == "list_type" else "dict"
            return f"{where} is {type(problem['input']).__name__}, not {wanted}"
    reason = problem["msg"].replace("Input should", "must").removeprefix("Value error, ")
    return f"{where} = {plain(repr(problem['input']), 60)}: {reason}"


def refuse_non_finite(value, where: str) -> None:
    """Raises `RecordError` at a number that is not finite, or at the text of one, such as "nan"."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        refuse_non_finite(part, f"{where}[{name}]" if isinstance(value, list) else f"{where}.{name}")
    text = isinstance(value, str) and value.strip().lower().lstrip("+-") in ("nan", "inf", "infinity")
    if text or (isinstance(value, float) and not math.isfinite(value)):
        raise RecordError(f"{where} = {value!r}: a number that is not finite must be null")


def clean(value):
    """The same as plain JSON values: arrays and tensors become lists, numbers that are not finite None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): clean(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain(text: str, longest: int = 400) -> str:
    """One line of visible characters from any text: no colour codes, at most `longest` characters."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(text))
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= longest else text[: longest - 3] + "..."
