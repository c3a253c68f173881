"""What all tests share: the order of files, tools that may be missing, signals."""

import os
import shutil
import signal

import pytest

# The longest files, longest first; the first two mostly wait for Slurm
LONGEST = (
    "test_slurm.py",
    "test_sweep_runs.py",
    "test_run.py",
    "test_recorded.py",
    "test_report.py",
    "test_readme.py",
    "test_execute.py",
    "test_notebooks.py",
    "test_doc_numbers.py",
)


def pytest_collection_modifyitems(items):
    """Puts the longest files first, so that no worker is left with one of them at the end."""
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


@pytest.fixture
def heard_signals():
    """SIGINT and SIGHUP with their usual effect, here and in children.

    A process that a script starts with `&` or nohup ignores one of them, and so do its children.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, usual[number])
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
