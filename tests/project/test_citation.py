"""How to cite the project: CITATION.cff and .zenodo.json agree, with each other and with the package."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import anm
from anm.report.page_head import AUTHOR

ROOT = Path(__file__).resolve().parents[2]
CFF = yaml.safe_load((ROOT / "CITATION.cff").read_text())
ZENODO = json.loads((ROOT / ".zenodo.json").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SCHEMAS = {"CITATION.cff": "vendor.citation-file-format", ".github/workflows/ci.yml": "vendor.github-workflows"}

# The form of a deposit, https://developers.zenodo.org/#representation, as far as .zenodo.json uses it
DEPOSIT = {
    "title": str,
    "upload_type": ("software",),
    "description": str,
    "version": str,
    "license": str,
    "access_right": ("open",),
    "creators": [{"name": str}],
    "keywords": [str],
    "related_identifiers": [{"identifier": str, "relation": ("references",), "scheme": ("arxiv",)}],
    "references": [str],
}


def fits(value, form) -> bool:
    """Whether a value has the form: a type, one of some texts, a list of one form, or exactly these names."""
    if isinstance(form, type):
        return isinstance(value, form) and bool(value)
    if isinstance(form, tuple):
        return value in form
    if isinstance(form, list):
        return isinstance(value, list) and bool(value) and all(fits(each, form[0]) for each in value)
    return isinstance(value, dict) and set(value) == set(form) and all(fits(value[name], form[name]) for name in form)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_file_follows_its_schema(name):
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[name], str(ROOT / name)]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_author_on_top_of_a_page_is_the_one_to_cite():
    assert [author["name"] for author in CFF["authors"]] == [AUTHOR]


def test_the_deposit_has_the_form_that_zenodo_takes():
    assert fits(ZENODO, DEPOSIT)
    assert not fits(ZENODO | {"upload_type": "book"}, DEPOSIT) and not fits(ZENODO | {"authors": []}, DEPOSIT)


def test_both_say_the_same():
    assert CFF["title"] == ZENODO["title"]
    assert CFF["type"] == ZENODO["upload_type"]
    assert CFF["version"] == ZENODO["version"] == PROJECT["version"] == anm.__version__
    assert CFF["license"] == ZENODO["license"] == PROJECT["license"]
    assert [author["name"] for author in CFF["authors"]] == [creator["name"] for creator in ZENODO["creators"]]
    assert CFF["abstract"].strip() == ZENODO["description"] and ZENODO["description"].startswith(anm.__doc__)
    assert CFF["keywords"] == ZENODO["keywords"]
    cited = [each["value"] for paper in CFF["references"] for each in paper["identifiers"]]
    assert cited == [each["identifier"] for each in ZENODO["related_identifiers"]]
    for paper, text in zip(CFF["references"], ZENODO["references"], strict=True):
        names = [f"{author['family-names']}, {author['given-names']}" for author in paper["authors"]]
        parts = ["; ".join(names), f"({paper['year']})", paper["title"], paper["collection-title"]]
        assert re.search(".*".join(map(re.escape, parts)), text)
