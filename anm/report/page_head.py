"""The line on top of a page: who, which version and code, when, and where the notebooks are."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from anm.report.page import Html, html

AUTHOR = "The founders of anm"


def byline(records: Mapping[str, dict], folder: str | Path) -> Html:
    """Author, version, dates and commits of the runs, and the folder that links lead to. All of it is in the records.

    folder: that of the notebooks. A page that is mailed alone has none beside it, so the line says where they are.
    """
    origins = [record["provenance"] for record in records.values()]
    versions, commits = (texts(origins, name) for name in ("anm", "git_commit"))
    dates = sorted({date for each in texts(origins, "started") if (date := day(each))})
    parts = [AUTHOR]
    parts += [f"anm {', '.join(versions)}"] * bool(versions)
    parts += [f"runs of {' to '.join(dict.fromkeys((dates[0], dates[-1])))}"] if dates else []
    more = f" and {len(commits) - 1} more" if len(commits) > 1 else ""
    parts += [f"commit {commits[0][:12]}{more}"] if commits else []
    parts.append(f"notebooks: folder {Path(folder).resolve().name} of the project")
    return html('<p class="byline">{}</p>\n', " · ".join(parts))


def texts(origins: list[dict], name: str) -> list[str]:
    """The different texts of an entry, in the order of the records."""
    return list(dict.fromkeys(each[name] for each in origins if isinstance(each.get(name), str)))


def day(started: str) -> str | None:
    """The date of a moment; None if it is none."""
    try:
        return f"{datetime.fromisoformat(started):%Y-%m-%d}"
    except ValueError:
        return None
