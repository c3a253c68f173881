"""docs/checklist.md: what it says about the recorded runs is what the records hold."""

import re

import pytest
from doc_text import PROJECT, numbers, same_as_written

import anm

TEXT = (PROJECT / "docs" / "checklist.md").read_text()


@pytest.fixture(scope="module")
def sources() -> list[dict]:
    """The provenance of every recorded run."""
    return [anm.read_run(path)["provenance"] for path in sorted((PROJECT / "reports" / "cpu").glob("*-*.ipynb"))]


def test_the_compute_is_that_of_the_records(sources):
    took = r"The (\w+) runs of the earlier study took ([\d.]+) hours on two cores of an (AMD EPYC)"
    (text,) = re.findall(took + r", .* at most ([\d,]+) MiB", TEXT)
    count, hours, cpu, memory = text
    assert count == "nine" and len(sources) == 9
    assert same_as_written(sum(source["seconds"] for source in sources) / 3600, *numbers(hours))
    assert max(source["peak_memory_mib"] for source in sources) <= float(memory.replace(",", ""))
    assert {(source["machine"]["cores"], source["machine"]["cpu"]) for source in sources} == {(2, cpu)}


def test_the_times_of_a_run_are_those_of_the_records(sources):
    low, high = numbers(re.search(r"\| ([\d,]+ to [\d,]+) s each", TEXT)[1])
    seconds = [source["seconds"] for source in sources]
    assert same_as_written(min(seconds), low) and same_as_written(max(seconds), high)


def test_every_run_has_what_the_answers_promise(sources):
    wanted = {"git_commit", "git_dirty", "anm", "python", "torch", "machine", "seconds", "peak_memory_mib"}
    assert all(wanted <= {name for name, value in source.items() if value is not None} for source in sources)
