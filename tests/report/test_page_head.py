"""The line on top of a page."""

from anm.report.page_head import AUTHOR, byline


def record(commit, started="2026-11-26T02:37:00+00:00", version="0.1.0") -> dict:
    return {"provenance": {"git_commit": commit, "started": started, "anm": version}}


def test_it_names_author_version_dates_commits_and_folder(tmp_path):
    records = {"a": record("a" * 40), "b": record("b" * 40, "2026-11-28T00:00:00+00:00"), "c": record("a" * 40)}
    said = byline(records, tmp_path / "reports" / "mine")
    for part in (
        AUTHOR,
        "anm 0.1.0 ",
        "runs of 2026-11-26 to 2026-11-28",
        f"commit {'a' * 12} and 1 more ·",
        "folder mine of the project",
    ):
        assert part in said
    assert str(tmp_path) not in said


def test_many_commits_are_counted_and_one_day_is_named_once():
    said = byline({str(place): record(f"{place}" * 12) for place in range(5)}, ".")
    assert "runs of 2026-11-26 ·" in said and f"{'0' * 12} and 4 more" in said


def test_what_records_do_not_say_or_say_badly_is_left_out_or_escaped():
    said = byline({"a": record(None, "yesterday", None), "b": record("<b>" * 4, ["x"], {"y": 1})}, ".")
    assert "runs of" not in said and "<b>" not in said and "anm 0" not in said
    assert AUTHOR in byline({}, ".")
