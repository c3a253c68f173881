"""What all tests share: what to do where a tool is missing."""

import os
import shutil

import pytest


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
