"""Turns an executed notebook into one offline HTML file, with nbconvert and the template of this folder.

The page loads nothing. nbconvert's own templates load require.js, MathJax, mermaid and widgets from a CDN, so
this template extends none of them, and formulas become MathML. The page's content security policy allows its
own script alone and no request.
"""

import base64
import hashlib
import re
from html import unescape
from pathlib import Path

from anm.report.page.markup import Html, scrollable

HERE = Path(__file__).resolve().parent


def to_html(notebook, title: str) -> str:
    """The page of an executed notebook (nbformat node)."""
    from nbconvert import HTMLExporter

    filters = {"prose": prose, "heading_id": heading_id, "headings": headings}
    exporter = HTMLExporter(template_name=HERE.name, extra_template_basedirs=[str(HERE.parent)], filters=filters)
    script, style = ((HERE / name).read_text(encoding="utf-8") for name in ("page.js", "style.css"))
    page = {"title": title, "style": style, "script": script.strip()}
    page["script_hash"] = base64.b64encode(hashlib.sha256(page["script"].encode()).digest()).decode()
    return exporter.from_notebook_node(notebook, resources={"page": page})[0]


def prose(markdown: str) -> str:
    """A Markdown cell as HTML: formulas between dollars as MathML, raw HTML as text."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body: str) -> str:
            return mathml(body, "inline")

        def block_math(self, body: str) -> str:
            return scrollable(f"formula: {' '.join(body.split())}", Html(mathml(body, "block")))

        def table(self, text: str) -> str:
            headings = re.findall("<th[^>]*>(.*?)</th>", text)
            label = re.sub("<[^>]*>", "", ", ".join(headings))
            return scrollable(f"table: {unescape(label)}", Html(f"<table>{text}</table>"))

        def heading(self, text: str, level: int, **attributes) -> str:
            return f'<h{level} id="{heading_id(text)}">{text}</h{level}>\n'

    return MarkdownWithMath(renderer=Renderer(escape=True, exclude_anchor_links=True)).render(markdown)


def mathml(latex: str, display: str) -> str:
    """A formula as MathML."""
    from latex2mathml.converter import convert

    return convert(latex.strip(), display=display)


def headings(markdown: str) -> list[str]:
    """The titles of the sections (level 2) that a Markdown cell opens."""
    return re.findall(r"^## +(.+?)\s*$", markdown, flags=re.MULTILINE)


def heading_id(title: str) -> str:
    """The id of a section, from its title."""
    words = re.sub(r"<[^>]*>|&\w+;", "", title).lower()
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")
