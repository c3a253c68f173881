"""What a run's record holds (schema 1), and the check that a record does."""

import math
import re
from pathlib import Path

from anm.params import parse_seeds

SCHEMA = 1


_THINKING = [
    {
        "landscape_steps": "count",
        "refine_steps": "count",
        "problems": "count",
        "products": "count?",
        "same": "size? S",
        "harder": "size? S",
        "hardest": "size? S",
    }
]
_PROBLEM = {"split": "text", "problem": "count", "condition": "number", "exact": "number N N"}


def _split(conditions: str) -> dict:
    """Scores on one frozen test set; `conditions` names the number of bins of the condition number."""
    return {
        "offset": "number",
        "problems": "count",
        "mse": "size? S",
        "mse_se": "size? S",
        "residual": "size? S",
        "by_condition": {
            "problems": f"count {conditions}",
            "edges": f"number {conditions}+1",
            "mse": f"size? {conditions} S",
        },
    }


# What schema 1 holds. A leaf is its kind ("?": null is allowed, which stands for a number that is not finite),
# then its shape: S seeds, T noise levels, N the side of the matrices; every other letter is a length that must agree wherever it occurs.
# A name with "?" may be missing: older records lack it. Other keys are allowed everywhere and ignored.
LAYOUT = {
    "params": {
        "strategy": "text",
        "energy": "text",
        "n": "count",
        "noise_levels": "count",
        "train_steps": "count",
        "batch_size": "count",
    },
    "provenance": {
        "git_commit": "text?",
        "git_dirty": "flag?",
        "anm": "text",
        "python": "text",
        "torch": "text",
        "device": "text",
        "machine": {"host": "text", "cpu": "text", "cores": "count", "gpu": "text?"},
        "started": "text",
        "seconds": "size?",
        "train_seconds": "size?",
        "seconds_per_step": "size?",
        "evaluate_seconds": "size?",
        "resumed": "count",
        "peak_memory_mib": "size?",
        "compiled": "flag",
    },
    "results": {
        "same": _split("K"),
        "harder": _split("H"),
        "ladder": [{"offset": "number", "problems": "count", "mse": "size? S", "mse_se": "size? S"}],
        "landscape_steps": [{"steps": "count", "problems": "count", "same": "size? S", "harder": "size? S"}],
        "thinking?": _THINKING,
        "thinking_only?": _THINKING,
        "sizes?": [
            {
                "n": "count",
                "split": "text",
                "problems": "count",
                "refine_steps": "count",
                "mse": "size? S",
                "mse_refined": "size? S",
            }
        ],
        "spectra?": [
            {
                "spectrum": "text",
                "problems": "count",
                "condition": "number",
                "refine_steps": "count",
                "relative": "size? S",
                "relative_refined": "size? S",
            }
        ],
        "forming?": _PROBLEM | {"moments": [{"level": "count?", "refine_steps": "count", "error": "number? N N"}]},
        "worst?": [_PROBLEM | {"error": "number? N N"}],
    },
    "curves": {
        "step": "count P",
        "loss": "number? P S",
        "denoise": "number? P S",
        "contrast": "number? P S",
        "grad_norm": "number? P S",
        "by_level": {
            "denoise": "absent? P T",
            "energy_positive": "absent? P T",
            "energy_negative": "absent? P T",
            "distance": "absent? P T",
            "accepted": "absent? P T",
            "residual?": "absent? P T",
            "false?": "absent? P T",
        },
        "mse_step": "count Q",
        "mse_same": "size? Q S",
    },
    "landscape": {
        "level": "count T",
        "energy_before": "number? T S",
        "energy_after": "number? T S",
        "accepted": "number? T S",
        "mse": "size? T S",
    },
}


# What a direct network's file holds (anm.direct).
_DIRECT = {"offset": "number", "problems": "count", "mse": "size? S"}
DIRECT = {
    "layers": "text",
    "params": LAYOUT["params"],
    "provenance": LAYOUT["provenance"],
    "results": {"same": _DIRECT, "harder": _DIRECT},
}


class RecordError(ValueError):
    """A run that cannot be used. `reason` says why in plain text; the message adds the file."""

    def __init__(self, reason: str, path: str | Path | None = None):
        self.reason, self.path = plain(reason), path
        super().__init__(f"{path}: {self.reason}" if path is not None else self.reason)


def check_record(record) -> None:
    """Raises `RecordError`, naming the entry, unless the record is of schema 1 with shapes that agree."""
    _check_layout(record, LAYOUT)


def check_direct(record) -> None:
    """The same for the file of a direct network."""
    _check_layout(record, DIRECT)


def _check_layout(record, layout: dict) -> None:
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise RecordError(f"the record's schema is {found!r}; this version reads {SCHEMA}")
    refuse_stray_numbers({name: part for name, part in record.items() if name not in ("params", "provenance")}, "")
    _check(record.get("params"), LAYOUT["params"], "params", {})
    try:
        seeds = parse_seeds(record["params"].get("seeds"))
    except ValueError as error:
        raise RecordError(f"params.seeds = {record['params'].get('seeds')!r}: {error}") from None
    _check(record, layout, "", {"S": len(seeds), "T": record["params"]["noise_levels"], "N": record["params"]["n"]})


def _check(value, layout, where: str, sizes: dict[str, int]) -> None:
    """Compares a value with its part of the layout; `sizes` learns each length where it first occurs."""
    if isinstance(layout, str):
        kind, *shape = layout.split()
        _check_leaf(value, kind, shape, where, sizes)
    elif isinstance(layout, list):
        _check_type(value, list, where)
        for place, item in enumerate(value):
            _check(item, layout[0], f"{where}[{place}]", sizes)
    else:
        _check_type(value, dict, where)
        for entry, part in layout.items():
            name, optional = entry.rstrip("?"), entry.endswith("?")
            inner = f"{where}.{name}".lstrip(".")
            if name in value:
                _check(value[name], part, inner, sizes)
            elif not optional:
                raise RecordError(f"{inner} is missing")


def _check_leaf(value, kind: str, shape: list[str], where: str, sizes: dict[str, int]) -> None:
    if kind == "absent?":
        if value is None:
            return
        kind = "number?"
    if not shape:
        if not (value is None and kind.endswith("?") or KINDS[kind.rstrip("?")](value)):
            raise RecordError(f"{where} = {plain(repr(value), 60)}: must be {kind.rstrip('?')}")
        return
    _check_type(value, list, where)
    letter, _, more = shape[0].partition("+")
    length = sizes.setdefault(letter, len(value) - int(more or 0)) + int(more or 0)
    if len(value) != length:
        raise RecordError(f"{where} has {len(value)} entries where {length} belong ({shape[0]})")
    for place, item in enumerate(value):
        _check_leaf(item, kind, shape[1:], f"{where}[{place}]", sizes)


def _check_type(value, wanted: type, where: str) -> None:
    if not isinstance(value, wanted):
        raise RecordError(f"{where or 'the record'} is {type(value).__name__}, not {wanted.__name__}")


def is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e300 < value < 1e300


KINDS = {
    "text": lambda value: isinstance(value, str),
    "flag": lambda value: isinstance(value, bool),
    "number": is_number,
    "size": lambda value: is_number(value) and value >= 0,
    "count": lambda value: is_number(value) and isinstance(value, int) and value >= 0,
}


def refuse_stray_numbers(value, where: str) -> None:
    """Raises `RecordError` at a number that is not finite, or the text "nan" or "inf" in a number's place."""
    if isinstance(value, dict):
        for name, part in value.items():
            refuse_stray_numbers(part, f"{where}.{name}".lstrip("."))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            refuse_stray_numbers(part, f"{where}[{place}]")
    elif (
        isinstance(value, float)
        and not math.isfinite(value)
        or (isinstance(value, str) and value.strip().lower().lstrip("+-") in ("nan", "inf", "infinity"))
    ):
        raise RecordError(f"{where} = {value!r}: a number that is not finite must be null")


def clean(value):
    """The same as plain JSON values: arrays and tensors as lists, numbers that are not finite as None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): clean(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain(text: str, longest: int = 400) -> str:
    """One line of visible characters from foreign text: no colour codes, no control characters, cut to length."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(text))
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= longest else text[: longest - 3] + "..."
