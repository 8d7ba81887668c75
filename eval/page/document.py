"""One HTML file that needs nothing else: what it holds, its script and its style, and no leave to fetch anything."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from ...envs.core.errors import UserError
from ...envs.core.extras import optional
from .markup import Markup, json_text, tag

_PLACE = re.compile(r"<!--plot (\d+)-->")

MOST_BYTES = 10 * 2**20
"""The size that no report exceeds."""


@dataclass
class Figure:
    """A picture that the page's script draws when it comes into sight.

    Attributes:
        name: what it shows, in words.
        data: JSON for plotly; None once it has been left out.
        height: pixels.
        can_go: whether it may be left out to keep the file small.
    """

    name: str
    data: str | None
    height: int
    can_go: bool


@dataclass
class Document:
    """A page under construction.

    Attributes:
        title: of the page.
        figures: all pictures, by number.
    """

    title: str
    figures: list[Figure] = field(default_factory=list)

    def figure(self, name: str, data: dict[str, Any], can_go: bool = False) -> Markup:
        """The place of a picture in the page.

        Args:
            name: what it shows, in words, for those who cannot see it.
            data: for plotly.
            can_go: whether it may be left out to keep the file small.
        """
        self.figures.append(Figure(name, json_text(data), int(data["layout"]["height"]), can_go))
        return Markup(f"<!--plot {len(self.figures) - 1}-->")  # texts are escaped: none can say this

    def render(self, body: Markup) -> str:
        """The page with as many of its pictures as fit.

        Raises:
            UserError: it does not fit even without those that may be left out.
            MissingExtraError: plotly is not installed.
        """
        style, script, library = _asset("page.css"), _asset("page.js"), plotly_script()
        while True:
            page = self._page(body, style, script, library)
            size = len(page.encode("utf-8", "replace"))
            if size <= MOST_BYTES:
                return page
            largest = max(
                (f for f in self.figures if f.can_go and f.data), key=lambda f: len(f.data or ""), default=None
            )
            if largest is None:
                raise UserError(
                    f"the report has {size / 2**20:.1f} MiB, expected at most {MOST_BYTES / 2**20:.0f}: "
                    "report fewer evaluations at once"
                )
            largest.data = None

    def _page(self, body: Markup, style: str, script: str, library: str) -> str:
        kept = [
            tag("script", Markup(figure.data), type="application/json", id=f"data-{number}")
            for number, figure in enumerate(self.figures)
            if figure.data is not None
        ]
        head = tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=_policy(library, script)),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("link", rel="icon", href="data:,"),
            tag("title", self.title),
            tag("style", Markup(style)),
        )
        body = Markup(_PLACE.sub(lambda found: self._place(int(found[1])), body))
        scripts = [tag("script", Markup(library)), tag("script", Markup(script))]
        return f"<!DOCTYPE html>\n{tag('html', head, tag('body', body, kept, scripts), lang='en')}\n"

    def _place(self, number: int) -> Markup:
        figure = self.figures[number]
        if figure.data is None:
            return tag(
                "p", f"{figure.name}: left out, to keep this file below {MOST_BYTES // 2**20} MiB.", class_="hint"
            )
        kind, style = "schedule" if figure.can_go else "comparison", f"height:{figure.height}px"
        named = {"id": f"plot-{number}", "aria_label": figure.name, "data_kind": kind}
        return tag("div", class_="plot", role="img", style=style, **named)


def plotly_script() -> str:
    """Plotly's script, as its package ships it.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    with optional("a report", "plot", "plotly"):
        from plotly.offline import get_plotlyjs
    return _newlines(get_plotlyjs())


def _asset(name: str) -> str:
    return _newlines(files(__name__.rpartition(".")[0]).joinpath(name).read_text("utf-8"))


def _newlines(text: str) -> str:
    """Line ends as a browser reads them, before it hashes what it may run."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _policy(*scripts: str) -> str:
    """What the page may do: run these scripts, style itself, show pictures that it made; nothing over a network."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
