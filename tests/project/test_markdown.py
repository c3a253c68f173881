"""What the Markdown files name exists: links, headings, files, modules; and the README stays short."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GIT = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
LISTED = subprocess.run(GIT, cwd=ROOT, capture_output=True, text=True, check=True).stdout
FILES = sorted(name for name in LISTED.split("\0") if name and (ROOT / name).exists())
# A path of the repository in code; the pages also name files that a command writes, in mine/ and reports/quick/.
REPOSITORY_PATH = re.compile(r"(?<![\w/.-])(?:anm|docs|notebooks|params|slurm|tests)/[\w/.-]*\w")


def without_code(text: str) -> str:
    """The text without code blocks and code in lines."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "code", re.sub(r"^    .*$", "", text, flags=re.MULTILINE))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path) -> list[str]:
    """The links and pictures of a Markdown file that lead to no file or heading of the repository."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def test_there_are_pages_to_check():
    assert {"README.md", "docs/reproduce.md", "slurm/README.md"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_link_leads_somewhere(name):
    assert broken_links(ROOT / name) == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# One heading, here\n")
    page = tmp_path / "page.md"
    page.write_text("[a](other.md#one-heading-here) [b](other.md#none) [c](gone.md) ![d](gone.png) `[e](code.md)`\n")
    assert broken_links(page) == ["other.md#none", "gone.md", "gone.png"]


@pytest.mark.parametrize("name", FILES)
def test_every_path_of_the_repository_exists(name):
    paths = set(REPOSITORY_PATH.findall((ROOT / name).read_text()))
    made = {"docs/api/index.html", "slurm/logs/anm"}  # by make docs; the start of a log's name
    assert [path for path in sorted(paths - made) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", FILES)
def test_every_module_exists(name):
    text = (ROOT / name).read_text()
    for pattern, start in (
        (r"python -m (anm[\w.]*\w)", "__main__.py"),
        (r"^(?:from|import) (anm[\w.]*)", "__init__.py"),
    ):
        for module in re.findall(pattern, text, re.MULTILINE):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / start).exists(), module


def test_the_readme_is_read_in_three_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
