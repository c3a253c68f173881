"""The registry of strategies and energies: by name, or "module:name" of your own."""

import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

from anm.utils.parsing import did_you_mean

# kind -> name -> object. `anm.energies` and `anm.miners` fill it; this module does not import them.
CHOICES: dict[str, dict[str, Any]] = {"task": {}, "strategy": {}, "energy": {}}

# Settings of the contrastive loss, for every strategy but `none`; and settings that only some strategies use
COMMON_SETTINGS = frozenset(
    "contrastive_weight contrastive_warmup contrast_noise contrast_scale mining_levels false_negative_residual "
    "negative_loss negative_share".split()
)
STRATEGY_SETTINGS = frozenset(
    "mining_opt_steps mining_noise_scale target_hardness candidates ball_radius langevin_noise replay_size "
    "replay_fresh pool_size corruption_share mixture".split()
)


def check_choice(kind: str, value) -> str:
    """The name, if it is registered or importable. Raises `ValueError` otherwise."""
    if isinstance(value, str) and ":" in value:
        import_choice(value)
    elif not isinstance(value, str) or value not in CHOICES[kind]:
        names = ", ".join(sorted(CHOICES[kind]))
        raise ValueError(f'must be one of {names}, or "module:name" of your own.{did_you_mean(value, CHOICES[kind])}')
    return value


def import_choice(path: str) -> Callable:
    """The object "module:name"; the current folder is searched for the module too.

    Raises `ValueError` if it cannot be imported or called.
    """
    module, _, name = path.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # a user's module may raise anything
        raise ValueError(f'must be importable as "module:name" ({type(error).__name__}: {error})') from None
    file_hash(module)
    if not callable(found):
        raise ValueError(f'must be "module:name" of a function or class, not of {type(found).__name__}')
    return found


def resolve(kind: str, name: str) -> Callable:
    """The registered or imported object of a name that `check_choice` accepted."""
    return import_choice(name) if ":" in name else CHOICES[kind][name]


@cache
def file_hash(module: str) -> str | None:
    """SHA-256 of an imported module's file at the first call; None if it has no file."""
    file = getattr(sys.modules[module], "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None


def miner(function: Callable | None = None, *, uses: Iterable[str] | None = None):
    """Register a strategy under the name of its function: `@miner` or `@miner(uses={"candidates"})`.

    `uses` names the settings in `STRATEGY_SETTINGS` that the strategy depends on (default: all of them).
    Runs that are compared may differ in the others. Raises `ValueError` if the name is taken.
    """
    if function is None:
        return partial(miner, uses=uses)
    known = CHOICES["strategy"].setdefault(function.__name__, function)
    if known is not function:
        raise ValueError(f"strategy {function.__name__!r} is registered already; rename the function")
    if uses is not None or not hasattr(function, "uses"):  # registering it again changes nothing
        function.uses = STRATEGY_SETTINGS if uses is None else frozenset(uses)
    return function


def unused_settings(strategy: str) -> frozenset[str]:
    """The settings that a strategy does not depend on; empty for an unregistered strategy."""
    if strategy == "none":
        return STRATEGY_SETTINGS | COMMON_SETTINGS
    return STRATEGY_SETTINGS - getattr(CHOICES["strategy"].get(strategy), "uses", STRATEGY_SETTINGS)
