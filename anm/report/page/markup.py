"""Parts of a page. Markup is `Html`; any other value is text and is escaped.

html("<p>{}</p>", "a < b")  ->  Html("<p>a &lt; b</p>")
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any
from urllib.parse import quote

from markupsafe import Markup


class Html(Markup):
    """Markup that a notebook renders. Joining and formatting escape everything else."""

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": str(self), "text/plain": "(part of the page)"}


@dataclass(frozen=True)
class Cell:
    """A table cell: its content, its sort key and its hover text."""

    content: Any
    sort: float | str | None = None
    title: str | None = None


def html(template: str, *values, **named) -> Html:
    """A trusted template, filled with escaped values."""
    return Html(template).format(*values, **named)


def joined(parts: Iterable) -> Html:
    """The parts in a row; those that are not `Html` are escaped."""
    return Html("").join(parts)


def paragraphs(texts: Iterable, kind: str = "") -> Html:
    """One <p> per text; `kind` is their CSS class."""
    return joined(html('<p class="{}">{}</p>\n', kind, text) for text in texts)


def items(texts: Sequence, kind: str = "") -> Html:
    """A bullet list; empty without texts."""
    inner = joined(html("<li>{}</li>", text) for text in texts)
    return html('<ul class="{}">{}</ul>', kind, inner) if texts else Html("")


def anchor(name: str) -> str:
    """A stable id for a name, of letters and digits only."""
    return "run-" + hashlib.sha256(str(name).encode()).hexdigest()[:10]


def link(path, text: str) -> Html:
    """A link to a file, relative to the working folder, where the page will be."""
    return html('<a href="./{}">{}</a>', quote(os.fsencode(os.path.relpath(path).replace(os.sep, "/"))), text)


def download(name: str, text: str, mime: str) -> Html:
    """A link that saves `text` as the file `name`. The page itself holds the data."""
    body = base64.b64encode(text.encode()).decode()
    size = f"{max(1, round(len(text.encode()) / 1024)):,} KB"
    address = html("data:{};base64,{}", mime, body)
    return html('<a class="download" download="{}" href="{}">{} <span>({})</span></a>', name, address, name, size)


def scrollable(label: str, content: Html) -> Html:
    """A box that scrolls sideways where its content is too wide. It has a name and takes the keyboard's focus."""
    return html('<div class="scroll" role="region" tabindex="0" aria-label="{}">{}</div>', label, content)


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence], *, ids=(), kinds=(), fold=False) -> Html:
    """A table with sortable columns that scrolls in its own box.

    rows: cells (text, numbers, `Cell`, `Html` or None); the first is the row's heading. ids, kinds: id and CSS
    class of each row, or nothing. fold: whether the table starts closed, as a long one should.
    """
    head = joined(html('<th scope="col"><button type="button">{}</button></th>', name) for name in columns)
    body = []
    for row, name, kind in zip_longest(rows, ids, kinds):
        cells = _cell('<th scope="row"{}>{}</th>', row[0]) + joined(_cell("<td{}>{}</td>", value) for value in row[1:])
        body.append(html("<tr{}{}>{}</tr>\n", _attribute("id", name), _attribute("class", kind), cells))
    inner = "<table><caption>{}</caption><thead><tr>{}</tr></thead><tbody>\n{}</tbody></table>"
    box = scrollable(caption, html(inner, caption, head, joined(body)))
    return html("<details><summary>{} ({} rows)</summary>{}</details>", caption, len(rows), box) if fold else box


def _cell(template: str, value) -> Html:
    cell = value if isinstance(value, Cell) else Cell(value)
    details = _attribute("data-sort", cell.sort) + _attribute("title", cell.title)
    return html(template, details, "—" if cell.content is None else cell.content)


def _attribute(name: str, value) -> Html:
    return Html("") if value in (None, "") else html(' {}="{}"', name, value)
