"""The HTML of a report: text, tables, figures and downloads for a notebook's cells, and the page they become.

A record is data, never markup: whatever is not `Html` is escaped where it enters a page.
"""

from anm.page.drawing import figure
from anm.page.exporter import to_html
from anm.page.markup import Cell, Html, anchor, download, html, items, joined, link, paragraphs, table

__all__ = [
    "Cell",
    "Html",
    "anchor",
    "download",
    "figure",
    "html",
    "items",
    "joined",
    "link",
    "paragraphs",
    "table",
    "to_html",
]
