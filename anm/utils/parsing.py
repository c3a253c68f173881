"""Parse settings from numbers or text; format them in the one form that records hold."""

import difflib
import math
from numbers import Integral, Real
from typing import Annotated

from pydantic import BeforeValidator


def parsed(parse, kind: type = str):
    """The type of a setting whose value comes from `parse`."""
    return Annotated[kind, BeforeValidator(parse)]


def as_number(value) -> float:
    """A number from a number or from text. Raises `ValueError` on a boolean."""
    if isinstance(value, bool) or not isinstance(value, (Real, str)):
        raise ValueError
    return float(value)


def bounded_int(low: int, high: int):
    """The type of a whole number in [low, high]; 20, 20.0, "20" and "2e1" give 20."""

    def parse(value) -> int:
        try:
            number = as_number(value)
            if number != int(number) or not low <= number <= high:
                raise ValueError
            return int(number)
        except (ValueError, OverflowError):
            raise ValueError(f"must be a whole number from {low} to {high:,}") from None

    return parsed(parse, int)


def bounded_float(low: float, high: float, *, above: bool = False):
    """The type of a finite number in [low, high], or in (low, high] with `above`."""

    def parse(value) -> float:
        try:
            number = as_number(value)
            if not math.isfinite(number) or not low <= number <= high or (above and number == low):
                raise ValueError
            return number
        except (ValueError, OverflowError):
            allowed = f"above {low:g} and at most {high:g}" if above else f"from {low:g} to {high:g}"
            raise ValueError(f"must be a number {allowed}") from None

    return parsed(parse, float)


def one_of(*names: str):
    """The type of a setting that is one of these names."""

    def parse(value) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}.{did_you_mean(value, names)}")
        return value

    return parsed(parse)


def parse_switch(value) -> bool:
    """A boolean from true, yes, on, 1, false, no, off or 0."""
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    try:
        return words[str(value).strip().lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def parse_seeds(value) -> tuple[int, ...]:
    """Seeds from "0-9", "0,3,5", "0-4,7" or one integer, in the given order."""
    seeds: list[int] = []
    try:
        if isinstance(value, bool) or not isinstance(value, (Integral, str)):
            raise ValueError
        for part in str(value).split(","):
            first, dash, last = part.strip().partition("-")
            span = range(int(first), int(last if dash else first) + 1)
            if not span or not (first + last).isdigit() or span[-1] >= 2**31 or len(span) > 1000:
                raise ValueError
            seeds.extend(span)
        if len(set(seeds)) != len(seeds) or len(seeds) > 1000:
            raise ValueError
    except ValueError:
        raise ValueError(
            'must be seeds such as "0-9", "0,3,5" or one whole number: at most 1000, each once, ranges rising'
        ) from None
    return tuple(seeds)


def format_seeds(value) -> str:
    """Seeds in canonical form: "0-9" for consecutive ones, "0,3,5" otherwise."""
    seeds = parse_seeds(value)
    if len(seeds) > 2 and seeds == tuple(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))


def parse_levels(value) -> tuple[int, int] | None:
    """The lowest and the highest noise level of "0-4" or "7"; None for "all"."""
    text = str(value).strip() if isinstance(value, (str, Integral)) and not isinstance(value, bool) else ""
    if text == "all":
        return None
    low, dash, high = text.partition("-")
    high = high if dash else low
    if not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in (low, high)) or int(low) > int(high):
        raise ValueError('must be "all", a range of noise levels such as "0-4", or one level')
    return int(low), int(high)


def format_levels(value) -> str:
    """Noise levels in canonical form: "all", "0-4" or "7"."""
    levels = parse_levels(value)
    if levels is None:
        return "all"
    return f"{levels[0]}-{levels[1]}" if levels[0] < levels[1] else f"{levels[0]}"


def parse_shares(value) -> dict[str, float]:
    """Name -> share from "adversarial:0.5,random:0.5"; a name may itself hold a colon."""
    shares: dict[str, float] = {}
    try:
        for part in value.split(","):
            name, colon, share = part.strip().rpartition(":")
            if not colon or not name or name in shares or not 0 < float(share) <= 1:
                raise ValueError
            shares[name] = float(share)
        if abs(sum(shares.values()) - 1) > 1e-6:
            raise ValueError
    except (ValueError, AttributeError):
        example = "adversarial:0.5,random:0.5"
        raise ValueError(f'must be strategies with shares that add up to 1, such as "{example}"') from None
    return shares


def format_shares(shares: dict[str, float]) -> str:
    """Shares in canonical form: "adversarial:0.5,random:0.5"."""
    return ",".join(f"{name}:{share!r}" for name, share in shares.items())


def parse_fractions(value) -> tuple[float, ...]:
    """Shares in rising order from "0.25,0.5,1"; the last is 1."""
    try:
        shares = tuple(float(part) for part in str(value).split(","))
    except ValueError:
        shares = ()
    rising = all(a < b for a, b in zip((0.0, *shares), shares))  # false for NaN
    if not shares or shares[-1] != 1 or not rising:
        raise ValueError('must be rising shares above 0 that end with 1, such as "0.25,0.5,1"')
    return shares


def format_fractions(value) -> str:
    """Shares in canonical form: "0.25,0.5,1"."""
    return ",".join(f"{share!r}".removesuffix(".0") for share in parse_fractions(value))


def did_you_mean(name: str, names) -> str:
    """The hint " Did you mean ...?" with the name most similar to a misspelt one, or ""."""
    similar = difflib.get_close_matches(str(name).lower(), [str(n) for n in names], n=1, cutoff=0.5)
    return f" Did you mean {similar[0]!r}?" if similar else ""
