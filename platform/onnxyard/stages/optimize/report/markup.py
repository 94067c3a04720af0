"""HTML and SVG as trees: whatever a name or a failure's text holds, it stays text."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

SVG = "http://www.w3.org/2000/svg"
_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not take, section 2.2."""


def element(tag: str, *children: ET.Element | str | None, **attributes: object) -> ET.Element:
    """An element with its children in order; None is left out.

    An attribute's name is written as in Python: `class_` is `class`, `stroke_width` is `stroke-width`.
    """
    made = ET.Element(tag, {_attribute(name): plain(str(value)) for name, value in attributes.items()})
    for child in children:
        if isinstance(child, ET.Element):
            made.append(child)
        elif child is not None:
            _append_text(made, plain(child))
    return made


def plain(text: str) -> str:
    """The text without the characters that no document may hold."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def html(tree: ET.Element) -> str:
    """A page."""
    return f"<!doctype html>\n{ET.tostring(tree, encoding='unicode', method='html')}\n"


def svg(tree: ET.Element) -> str:
    """A picture of its own."""
    tree.set("xmlns", SVG)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(tree, encoding="unicode")}\n'


def _attribute(name: str) -> str:
    return "viewBox" if name == "view_box" else name.rstrip("_").replace("_", "-")


def _append_text(parent: ET.Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text
