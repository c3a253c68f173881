"""What all tests share: what to do where a tool is missing."""

import os
import shutil

import pytest


def missing(reason: str):
    """Skips the test with the reason; in CI, where everything is installed, that is a failure."""
    if os.environ.get("ANM_CI") == "1":
        pytest.fail(f"{reason} (ANM_CI=1: nothing may be skipped)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium on this machine."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    missing("no Chromium on this machine: apt install chromium")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a skip is a failure, whoever asked for it; `xfail` is not a skip."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("ANM_CI") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"{reason} (ANM_CI=1: nothing may be skipped)"
