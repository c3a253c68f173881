"""The API pages are made of docstrings that are there."""

import inspect
import pkgutil
from importlib import import_module

import pdoc
import pytest
from pydantic import BaseModel

import anm

NAMES = sorted(module.name for module in pkgutil.walk_packages(anm.__path__, "anm."))
MODULES = [name for name in NAMES if not name.endswith("__main__")]  # those would run their commands


@pytest.mark.parametrize("name", MODULES)
def test_every_module_class_and_function_says_what_it_is(name):
    module = import_module(name)
    assert module.__doc__
    own = [
        value
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
        and not (inspect.isclass(value) and issubclass(value, BaseModel))  # its fields say what it is
    ]
    silent = [value.__name__ for value in own if not value.__doc__]
    assert len(silent) <= len(own) / 2, f"more than half of {name} is silent: {silent}"


def test_every_name_that_anm_offers_is_explained():
    assert [name for name in anm.__all__ if not inspect.getdoc(getattr(anm, name))] == []


def test_the_pages_are_written(tmp_path):
    pdoc.pdoc("anm", output_directory=tmp_path)
    page = (tmp_path / "anm.html").read_text()
    assert all(name in page for name in anm.__all__)
