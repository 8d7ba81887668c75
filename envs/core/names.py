"""The one grammar of names: ``NAME[:key=value]...``, lists by commas, for environments, agents and instances alike."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from .errors import UnknownNameError, UserError

_BASE = re.compile(r"[a-z0-9._-]+\Z")
_KEY = re.compile(r"[a-z][a-z0-9_]*\Z")
_RANGE = re.compile(
    r"(?P<a>[a-z0-9._]*?[a-z._]?)(?P<first>[0-9]{1,18})-(?P<b>[a-z0-9._]*?[a-z._]?)(?P<last>[0-9]{1,18})\Z"
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}\Z")  # Python refuses to convert more than 4300 digits
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?\Z", re.IGNORECASE)
_EACH = re.compile(r"each:([0-9]{1,18})(?::first=([0-9]{1,19}))?")
_SEEDS = re.compile(r"([0-9]{1,19})(?:-([0-9]{1,19}))?\Z")

OptionValue = bool | int | float | str


@dataclass(frozen=True)
class Name:
    """A parsed name: ``mwkr``, ``random:samples=64``, ``checkpoints/x:beam=8``, ``makespan/JobShop-v0:p=0.005``."""

    base: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    @property
    def is_path(self) -> bool:
        """Whether the base is a path: it holds a slash (ids do too: whoever expects an id asks the registry first)."""
        return "/" in self.base

    def __str__(self) -> str:
        return ":".join([self.base, *(f"{k}={_text(v)}" for k, v in self.options.items())])


def parse_value(text: str) -> OptionValue:
    """``true``/``false`` become bool, digits int, finite decimals float, anything else (``nan`` too) stays text."""
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.match(text):
        return int(text)
    if _DECIMAL.match(text) and math.isfinite(number := float(text)):
        return number
    return text


def parse_name(text: str, kind: str = "name") -> Name:
    """Parse one name with its options.

    Raises:
        UserError: the text does not follow the grammar.
    """
    base, *pairs = text.strip().split(":")
    if not base or ("/" not in base and not _BASE.match(base)):
        raise UserError(f"{kind} {text!r} is not of the form NAME[:key=value]..., with NAME of a-z, 0-9, '.', '_', '-'")
    options: dict[str, OptionValue] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.replace("-", "_")
        if not equals or not _KEY.match(key) or not value:
            raise UserError(f"{kind} {text!r}: option {pair!r} is not of the form key=value")
        if key in options:
            raise UserError(f"{kind} {text!r}: option {key!r} is given twice")
        options[key] = parse_value(value)
    return Name(base, options)


def split_list(text: str) -> list[str]:
    """Split a list by commas; empty items are an error."""
    items = [item.strip() for item in text.split(",")]
    if any(not item for item in items):
        raise UserError(f"list {text!r} has an empty item")
    return items


def expand_range(text: str, known: Collection[str]) -> list[str]:
    """Expand ``la01-la40`` to the known names between the two ends; an exact name wins over a range.

    Raises:
        UnknownNameError: neither a known name nor a range whose ends are known.
    """
    if text in known:
        return [text]
    match = _RANGE.match(text)
    if match and match["b"] in ("", match["a"]):
        width = len(match["first"])
        first, last = int(match["first"]), int(match["last"])
        if first > last:
            raise UserError(f"range {text!r} runs backwards")
        # A name that is missing is met before the range can exceed what is known.
        names = [f"{match['a']}{number:0{width}d}" for number in range(first, min(last, first + len(known)) + 1)]
        missing = [name for name in names if name not in known]
        if not missing:
            return names
        raise UnknownNameError("instance", missing[0], known)
    raise UnknownNameError("instance", text, known)


def parse_seeds(text: str) -> list[int]:
    """``0``, ``0,7,9``, ``0-99`` or a mixture, in the order given; duplicates are an error."""
    seeds: list[int] = []
    for item in split_list(text):
        match = _SEEDS.match(item)
        if not match:
            raise UserError(f"seeds {text!r}: {item!r} is neither a non-negative integer nor a range such as 0-99")
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if last < first:
            raise UserError(f"seeds {text!r}: range {item!r} runs backwards")
        if last - first >= 1_000_000 or last >= 2**62:
            raise UserError(f"seeds {text!r}: {item!r} is too many or too large (below 2**62, at most a million)")
        seeds.extend(range(first, last + 1))
    if len(set(seeds)) != len(seeds):
        raise UserError(f"seeds {text!r} name a seed twice")
    return seeds


def seeds_for_each(text: str, count: int) -> list[list[int]]:
    """The seeds of each of so many instances.

    They are the same for all as `parse_seeds` reads them; under ``each:5`` every instance has five of its own, so that
    no two share the events of a world: 0-4, 5-9, …, or from another seed on, ``each:5:first=1000``.

    Raises:
        UserError: `text` is malformed, or names more than a million seeds or one of 2**62 or more.
    """
    match = _EACH.fullmatch(text.strip())
    if not match:
        return [parse_seeds(text)] * count
    share, first = int(match[1]), int(match[2] or 0)
    if share < 1 or share * count > 1_000_000 or first + share * count > 2**62:
        raise UserError(f"seeds {text!r} are none, too many or too large (below 2**62, at most a million)")
    return [list(range(begin, begin + share)) for begin in range(first, first + share * count, share)]


def check_options(name: Name, kind: str, allowed: Collection[str]) -> None:
    """Raise `UnknownNameError` for the first option that is not allowed."""
    for key in name.options:
        if key not in allowed:
            raise UnknownNameError(f"option of {kind} {name.base!r}:", key, allowed)


def _text(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
