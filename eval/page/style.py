"""Colours, dashes and symbols of the pictures in a report.

Words that begin with @ stand for colours of the page, which differ between a light and a dark one; the page's script
puts them in when it draws.
"""

from __future__ import annotations

import colorsys
from typing import Any, NamedTuple

from ...envs.core.chart import DASHES, INK

INK_COLOUR, MUTED, SURFACE, LINES = "@ink", "@muted", "@surface", "@lines"
NEUTRAL = "#8A929C"

# Okabe & Ito's colours ("Color universal design", 2008) but for black, and with an ochre in place of yellow, which
# cannot be seen on white; each stands apart from a white and from a nearly black page.
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#A68A00", "#8C6BD6")
_AGENT_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x", "triangle-down", "star")
_STRIDE = 0.618034  # of the golden section: neighbours in number are far apart in hue


class Look(NamedTuple):
    """How one of several is told from the others, with colours and without."""

    colour: str
    dash: str
    symbol: str


def look(number: int) -> Look:
    """The look of the agent, the run, the kind of that number."""
    return Look(colour(number), DASHES[number % len(DASHES)], _AGENT_SYMBOLS[number % len(_AGENT_SYMBOLS)])


def colour(number: int) -> str:
    """The colour of that number; `INK` is that of text."""
    return INK_COLOUR if number == INK else _PALETTE[number % len(_PALETTE)]


def group_colour(group: int, groups: int) -> str:
    """The colour of one of so many groups."""
    if groups <= len(_PALETTE):
        return colour(group)
    lightness = (0.40, 0.56, 0.70)[group % 3]
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb((0.58 + group * _STRIDE) % 1, lightness, 0.6))
    return f"#{red:02X}{green:02X}{blue:02X}"


def pale(code: str, share: float = 0.35) -> str:
    """A colour that lets the page shine through."""
    red, green, blue = (int(code[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"


def layout(height: int, **more: Any) -> dict[str, Any]:
    """What the layouts of all pictures have in common."""
    return {
        "height": height,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK_COLOUR, "size": 13, "family": "system-ui, sans-serif"},
        "margin": {"l": 48, "r": 16, "t": 16, "b": 48},
        "hoverlabel": {
            "bgcolor": SURFACE,
            "bordercolor": MUTED,
            "font": {"color": INK_COLOUR, "size": 13},
            "align": "left",
        },
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        **more,
    }


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """What all axes have in common."""
    lines = {"gridcolor": LINES, "zerolinecolor": LINES, "linecolor": MUTED, "tickcolor": MUTED}
    return {"title": {"text": title, "standoff": 8}, "automargin": True, **lines, **more}
