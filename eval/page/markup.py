"""HTML that is escaped unless it says otherwise, and JSON that can stand inside a script element."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


class Markup(str):
    """Text that is HTML already; every other text is escaped where it enters a page."""

    __slots__ = ()


def markup(content: object) -> Markup:
    """Anything as HTML: texts escaped, `Markup` as it is, None as nothing, lists part by part."""
    if content is None:
        return Markup()
    if isinstance(content, Markup):
        return content
    if isinstance(content, list | tuple):
        return Markup("".join(markup(part) for part in content))
    return Markup(html.escape(str(content)))


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """An element. Attributes that are None or False are left out; ``class_`` is ``class``, and ``_`` reads ``-``."""
    written = []
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {key}")
        elif value is not None and value is not False:
            written.append(f' {key}="{html.escape(str(value))}"')
    start = f"<{name}{''.join(written)}>"
    return Markup(start if name in _VOID else f"{start}{markup(content)}</{name}>")


def bullets(items: Iterable[object], **attributes: object) -> Markup:
    """A list of points."""
    return tag("ul", [tag("li", item) for item in items], **attributes)


def json_text(data: Any) -> str:
    """JSON without any character that could end a script element or begin a comment in it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def plot_text(text: object) -> str:
    """A text for plotly, which reads some tags in labels and would follow links in them."""
    return html.escape(str(text), quote=False)
