"""Figures as inline SVG: text stays text, colours are the page's own (so that they change with light and dark)."""

import hashlib
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anm import looks
from anm.page.markup import Html, html, joined

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
SERIES = list(dict.fromkeys(look[0] for look in (*looks.LOOKS.values(), *looks.MORE_LOOKS)))
COLOURS = {looks.INK: "--ink", looks.MUTED: "--muted", looks.GRID: "--grid", looks.BAND: "--band"}
COLOURS |= {colour: f"--series-{place}" for place, colour in enumerate(SERIES)}
PANEL = (5.4, 4.0)  # inches; two fit side by side on a laptop, one fills a phone


def figure(name: str, panels: Sequence[tuple[str, Callable[..., Axes]]], caption, alt: str) -> Html:
    """A figure of one or several panels, each a title and what draws it (with `ax`).

    name: the figure's id, of letters and dashes. caption: what to see. alt: what a reader who cannot see it
    should know. Panels stand side by side where there is room and one below the other on a phone. Nothing without panels.
    """
    if not panels:
        return Html("")
    drawn = joined(panel(f"{name}-{place}", title, draw, alt) for place, (title, draw) in enumerate(panels))
    return html(
        '<figure id="{}"><div class="panels">{}</div><figcaption>{}</figcaption></figure>', name, drawn, caption
    )


def panel(name: str, title: str, draw: Callable[..., Axes], alt: str) -> Html:
    """One panel as an SVG with a text alternative."""
    with looks.style():
        sheet = Figure(figsize=PANEL, layout="constrained")
        axes = sheet.add_subplot()
        draw(ax=axes)
        axes.set_title(looks.plain(title, 60))
        svg = to_svg(sheet, name)
    label = html('<svg role="img" aria-label="{}" ', f"{title}: {alt}" if title else alt)
    return Html(svg.replace("<svg ", str(label), 1))


def to_svg(sheet: Figure, prefix: str) -> str:
    """The figure as SVG that can stand in a page beside others: no width of its own, no id but with `prefix`,
    the page's font and colours, and hover texts in the place of "tip:" links. The same figure gives the same text."""
    buffer = io.BytesIO()
    sheet.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    for space, address in (("", SVG), ("xlink", XLINK)):
        ElementTree.register_namespace(space, address)
    root = ElementTree.fromstring(buffer.getvalue())
    _strip(root)
    _own_ids(root, prefix)
    for element in root.iter():
        _tip(element)
        _slim(element)
    _share_styles(root)
    return ElementTree.tostring(root, encoding="unicode")


def _strip(root: ElementTree.Element):
    """Drops metadata, the global style and the outer size."""
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)


def _own_ids(root: ElementTree.Element, prefix: str):
    """Keeps the ids that something refers to, under a name of this figure alone."""
    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    names = {old: f"{prefix}-{place}" for place, old in enumerate(sorted(used))}
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old in names:
            element.set("id", names[old])
        for key, value in list(element.attrib.items()):
            if value.startswith(("#", "url(#")) and value.removeprefix("url(").strip("#)") in names:
                element.set(
                    key,
                    value.replace(
                        value.removeprefix("url(").strip("#)"), names[value.removeprefix("url(").strip("#)")]
                    ),
                )


def _tip(element: ElementTree.Element):
    """Turns a link "tip:..." into a group with that hover text."""
    address = element.get(f"{{{XLINK}}}href", "")
    if element.tag == f"{{{SVG}}}a" and address.startswith("tip:"):
        element.tag = f"{{{SVG}}}g"
        del element.attrib[f"{{{XLINK}}}href"]
        title = ElementTree.Element(f"{{{SVG}}}title")
        title.text = address.removeprefix("tip:")
        element.insert(0, title)


def _slim(element: ElementTree.Element):
    """Leaves fonts to the page, takes its colours, and keeps places to a hundredth of a point."""
    if "style" in element.attrib:
        element.set(
            "style", re.sub(r"#[0-9a-f]{6}", _page_colour, re.sub(r"font-family:[^;]*;? ?", "", element.get("style")))
        )
    for name in element.attrib.keys() & {"d", "x", "y"}:
        element.set(name, re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", element.get(name)))


def _share_styles(root: ElementTree.Element):
    """Says each style once: elements carry a class, whose name is made of what it says and so means the same in every figure."""
    rules = {}
    for element in root.iter():
        if style := element.attrib.pop("style", None):
            name = f"s{hashlib.sha256(style.encode()).hexdigest()[:8]}"
            rules[name] = style
            element.set("class", name)
    sheet = ElementTree.Element(f"{{{SVG}}}style")
    sheet.text = " ".join(f".{name} {{ {style} }}" for name, style in sorted(rules.items()))
    root.insert(0, sheet)


def _page_colour(found: re.Match) -> str:
    name = COLOURS.get(found[0])
    return f"var({name}, {found[0]})" if name else found[0]
