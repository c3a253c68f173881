"""Pieces of a page. Markup is `Html`; any other value is text and is escaped.

html("<p>{}</p>", "a < b")  ->  Html("<p>a &lt; b</p>")
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from markupsafe import Markup


class Html(Markup):
    """Markup that a notebook shows as such; joining and formatting it escapes everything else."""

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": str(self), "text/plain": "(part of the page)"}


@dataclass(frozen=True)
class Cell:
    """A table cell: what it shows, what it sorts by, and what it says on hover."""

    shows: Any
    sort: float | str | None = None
    title: str | None = None


def html(template: str, *values, **named) -> Html:
    """A template of ours with values escaped into its places."""
    return Html(template).format(*values, **named)


def joined(parts: Iterable) -> Html:
    return Html("").join(parts)


def paragraphs(texts: Iterable, kind: str = "") -> Html:
    """One <p> a text; `kind` is the CSS class of each."""
    return joined(html('<p class="{}">{}</p>\n', kind, text) for text in texts)


def items(texts: Sequence, kind: str = "") -> Html:
    """A bullet list, or nothing where there are no texts."""
    inner = joined(html("<li>{}</li>", text) for text in texts)
    return html('<ul class="{}">{}</ul>', kind, inner) if texts else Html("")


def anchor(name: str) -> str:
    """The id of whatever carries this name: letters and digits only, the same for the same name."""
    return "run-" + hashlib.sha256(str(name).encode()).hexdigest()[:10]


def link(path, text: str) -> Html:
    """A link to a file, relative to the working folder (where the page will lie)."""
    return html('<a href="./{}">{}</a>', quote(os.fsencode(os.path.relpath(path).replace(os.sep, "/"))), text)


def download(name: str, text: str, mime: str) -> Html:
    """A link that saves `text` as the file `name`; the data is in the page itself."""
    body = base64.b64encode(text.encode()).decode()
    size = f"{max(1, round(len(text.encode()) / 1024)):,} KB"
    return html(
        '<a class="download" download="{}" href="data:{};base64,{}">{} <span>({})</span></a>',
        name,
        mime,
        body,
        name,
        size,
    )


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence],
    *,
    ids: Sequence[str] = (),
    kinds: Sequence[str] = (),
    fold: bool = False,
) -> Html:
    """A table that scrolls in its own box, with sortable columns; folded away (fold) where it is long.

    rows: cells (text, numbers, `Cell`, `Html` or None); the first heads its row. ids, kinds: id and CSS
    class of each row, where given.
    """
    head = joined(html('<th scope="col"><button type="button">{}</button></th>', name) for name in columns)
    body = joined(
        html(
            '<tr{}{}><th scope="row"{}>{}</th>{}</tr>\n',
            _attribute("id", ids, i),
            _attribute("class", kinds, i),
            _details(row[0]),
            _shown(row[0]),
            joined(html("<td{}>{}</td>", _details(c), _shown(c)) for c in row[1:]),
        )
        for i, row in enumerate(rows)
    )
    grid = html(
        '<div class="scroll" role="region" tabindex="0" aria-label="{}"><table><caption>{}</caption>'
        "<thead><tr>{}</tr></thead><tbody>\n{}</tbody></table></div>",
        caption,
        caption,
        head,
        body,
    )
    return html("<details><summary>{} ({} rows)</summary>{}</details>", caption, len(rows), grid) if fold else grid


def _shown(cell):
    value = cell.shows if isinstance(cell, Cell) else cell
    return "—" if value is None else value


def _details(cell) -> Html:
    if not isinstance(cell, Cell):
        return Html("")
    return joined([_attribute("data-sort", [cell.sort], 0), _attribute("title", [cell.title], 0)])


def _attribute(name: str, values: Sequence, place: int) -> Html:
    known = place < len(values) and values[place] not in (None, "")
    return html(' {}="{}"', name, values[place]) if known else Html("")
