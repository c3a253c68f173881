"""How settings are spelled: what each spelling means, and the one that a record keeps."""

import math
from numbers import Integral, Real
from typing import Annotated

from pydantic import BeforeValidator


def as_number(value) -> float:
    """A number from a number or its spelling; booleans are not numbers."""
    if isinstance(value, bool) or not isinstance(value, (Real, str)):
        raise ValueError
    return float(value)


def whole(low: int, high: int):
    """A whole number in [low, high]: 20, 20.0, "20" and "2e1" are the same one."""

    def parse(value) -> int:
        try:
            number = as_number(value)
            if number != int(number) or not low <= number <= high:
                raise ValueError
            return int(number)
        except (ValueError, OverflowError):
            raise ValueError(f"must be a whole number from {low} to {high:,}") from None

    return Annotated[int, BeforeValidator(parse)]


def real(low: float, high: float, *, above: bool = False):
    """A finite number in [low, high], or in (low, high] with `above`."""

    def parse(value) -> float:
        try:
            number = as_number(value)
            if not math.isfinite(number) or not low <= number <= high or (above and number == low):
                raise ValueError
            return number
        except (ValueError, OverflowError):
            raise ValueError(
                f"must be a number {'above' if above else 'from'} {low:g} {'and at most' if above else 'to'} {high:g}"
            ) from None

    return Annotated[float, BeforeValidator(parse)]


def parse_switch(value) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    try:
        return words[str(value).strip().lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def parse_seeds(value) -> tuple[int, ...]:
    """Seeds from "0-9", "0,3,5", "0-4,7" or one integer, in the order given."""
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
            'must be seeds such as "0-9", "0,3,5" or one whole number: rising, none twice, at most 1000'
        ) from None
    return tuple(seeds)


def spell_seeds(value) -> str:
    """The canonical spelling of seeds: "0-9" for a run without gaps, "0,3,5" otherwise."""
    seeds = parse_seeds(value)
    if len(seeds) > 2 and seeds == tuple(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))


def parse_levels(value) -> tuple[int, int] | None:
    """The lowest and the highest of the noise levels "0-4" or "7"; None for "all"."""
    text = str(value).strip() if isinstance(value, (str, Integral)) and not isinstance(value, bool) else ""
    if text == "all":
        return None
    low, dash, high = text.partition("-")
    high = high if dash else low
    if not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in (low, high)) or int(low) > int(high):
        raise ValueError('must be "all", a range of noise levels such as "0-4", or one level')
    return int(low), int(high)


def spell_levels(value) -> str:
    """The canonical spelling of noise levels: "all", "0-4" or "7"."""
    levels = parse_levels(value)
    if levels is None:
        return "all"
    return f"{levels[0]}-{levels[1]}" if levels[0] < levels[1] else f"{levels[0]}"


def parse_shares(value) -> dict[str, float]:
    """Names with shares that add up to 1, from "adversarial:0.5,random:0.5"; a name may itself hold a colon."""
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
        raise ValueError(
            'must be strategies with shares that add up to 1, such as "adversarial:0.5,random:0.5"'
        ) from None
    return shares


def spell_shares(shares: dict[str, float]) -> str:
    """The canonical spelling of shares."""
    return ",".join(f"{name}:{share!r}" for name, share in shares.items())
