"""Packages that only an extra of anm installs, such as `anm[study]`."""

from importlib import import_module
from types import ModuleType


class MissingPackageError(ImportError):
    """A package is not installed. The message names the extra of anm that installs it."""


def optional_import(module: str, extra: str) -> ModuleType:
    """The module, which the extra installs. Raises `MissingPackageError` where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        advice = f"install it: pip install 'anm[{extra}]'"
        raise MissingPackageError(f"{module}: cannot be imported ({error}); {advice}", name=module) from None
