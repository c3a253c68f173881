"""HTML of a report: text, tables, figures and downloads for notebook cells, and the finished page.

A record is data, never markup: everything except `Html` is escaped where it enters a page.
"""

from anm.report.page.drawing import figure
from anm.report.page.exporter import to_html
from anm.report.page.markup import Cell, Html, anchor, download, html, items, link, paragraphs, table

__all__ = ["Cell", "Html", "anchor", "download", "figure", "html", "items", "link", "paragraphs", "table", "to_html"]
