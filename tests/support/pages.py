"""An HTML report as tests see it: its elements, texts, tables, scripts and pictures."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

_VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """A page read with the standard library's parser.

    Attributes:
        elements: (name, attributes) of every element, in order.
        tables: caption, and rows of (text, order) of every table.
        scripts: what stands in the scripts that run.
        figures: (description, plotly's data) of every picture.
        text: all that is read, without scripts and style.
    """

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[tuple[str, list[list[tuple[str, str | None]]]]] = []
        self.scripts: list[str] = []
        self.style = self.text = self._caption = ""
        self._open: list[str] = []
        self._data: dict[str, Any] = {}
        self.feed(source)
        self.close()
        assert self._open == [], f"never closed: {self._open}"
        places = [attributes for _, attributes in self.elements if attributes.get("class") == "plot"]
        self.figures = [(str(p["aria-label"]), self._data[str(p["id"]).replace("plot", "data")]) for p in places]
        assert len(self.figures) == len(self._data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append(("", []))
        if tag == "tr":
            self.tables[-1][1].append([])
        if tag in ("td", "th"):
            self.tables[-1][1][-1].append(("", dict(attrs).get("data-order")))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inner = self._open[-1] if self._open else ""
        if inner == "script":
            attributes = self.elements[-1][1]
            if attributes.get("type") == "application/json":
                self._data[str(attributes["id"])] = json.loads(data)
            else:
                self.scripts.append(data)
        elif inner == "style":
            self.style += data
        else:
            self.text += data
            if "caption" in self._open:
                self.tables[-1] = (self.tables[-1][0] + data, self.tables[-1][1])
            elif any(name in self._open for name in ("td", "th")):
                row = self.tables[-1][1][-1]
                # What stands below a cell is told apart from it.
                row[-1] = (f"{row[-1][0]}{'|' if inner == 'small' else ''}{data}", row[-1][1])

    def table(self, caption: str) -> list[dict[str, tuple[str, str | None]]]:
        """The rows of the first table whose caption begins so, by the titles of the columns."""
        rows = next(rows for title, rows in self.tables if title.startswith(caption))
        titles = [text for text, _ in rows[0]]
        return [dict(zip(titles, row, strict=True)) for row in rows[1:]]

    def named(self, name: str) -> list[dict[str, str | None]]:
        """Attributes of all elements of a name."""
        return [attributes for tag, attributes in self.elements if tag == name]

    def figure(self, description: str) -> dict[str, Any]:
        """The first picture whose description begins so."""
        return next(data for title, data in self.figures if title.startswith(description))


def without_tokens(data: Any) -> Any:
    """A picture with colours in place of the words that stand for those of the page."""
    if isinstance(data, str):
        return "#123456" if re.fullmatch(r"@(ink|muted|surface|lines|low|high)", data) else data
    if isinstance(data, list):
        return [without_tokens(part) for part in data]
    return {key: without_tokens(part) for key, part in data.items()} if isinstance(data, dict) else data
