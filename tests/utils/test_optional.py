"""A package that an extra installs is imported, or named with the extra."""

import json

import pytest

from anm.utils.optional import MissingPackageError, optional_import


def test_a_package_that_is_there_is_imported():
    assert optional_import("json", "study") is json


def test_a_package_that_is_missing_is_named_with_its_extra():
    with pytest.raises(MissingPackageError, match=r"no_such_package: .*pip install 'anm\[study\]'") as caught:
        optional_import("no_such_package", "study")
    assert caught.value.name == "no_such_package" and isinstance(caught.value, ImportError)
