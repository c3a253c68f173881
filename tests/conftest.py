"""What all tests share: what to do where a tool is missing."""

import os
import shutil

import pytest


LONGEST = ("test_slurm.py", "test_study.py", "test_sweep_runs.py")  # minutes each, most of them spent waiting


def pytest_collection_modifyitems(items):
    """The longest files first, so that no worker is left with one of them at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def missing(reason: str):
    """Skips the test because a tool is not installed; in CI, where every tool is, that is a failure."""
    if os.environ.get("ANM_CI") == "1":
        pytest.fail(f"{reason} (ANM_CI=1: a missing tool is a failure)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium on this machine."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    missing("no Chromium on this machine: apt install chromium")
