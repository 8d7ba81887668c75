"""Files spoilt at random, from a seed: bytes, text, JSON, tensors, and the folder that they lie in.

A tree is a folder's content: bytes by relative path, None for a folder in the place of a file, a string for a link,
`PIPE` for a pipe. No link leads out of the folder but to a file beside it: spoilt folders are written to as well.
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

Tree = dict[str, bytes | str | None]
Rng = random.Random
PIPE = "|"
BESIDE = "../outside.json"
"""A link's target: a file that nobody may change."""

_NUMBERS = [-1, 0, 1, 2, 3, 7, 1000, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, 10**400]
_LONG = "\x01a long integer"
_REALS = [0.5, -0.0, 1e-300, 5e-324, 1e300, -1e300, float("nan"), float("inf"), -float("inf"), 1e18, -1.5]
_WEIGHTS = [0.5, -0.0, 1e-30, 1e-45, float("nan"), float("inf"), 3e38, -3e38, 1e9]
_WORDS = [
    "", " ", "a", "x" * 300, "\n", "two\nlines", "\x00", "\ud800", "\u202e", "\U0001f389", "0", "-1", "1e999", "nan",
    "None", "true", "../x", "..", ".", "~", "a/b", "a\\b", "%s{}", "[red]x[/]", "[/]", "\x1b[31m", "é",
]  # fmt: skip
_JUNK = [[], {}, [1], [[1]], [[]], [None], [{}], {"a": 1}, {"": []}, [1, 2, 3], [[0, 1], [1, 0]], ["a"] * 3, [1e308]]
_TOKENS = [
    "", "-1", "0", "1", "7", "99999", "1" * 30, "1e9", "nan", "inf", "-inf", "x", "0.5", "#", ",", ";", '"', "'", "\n",
    "\r\n", "\t", "\x00", "=", "%", "{", "}", "(", ")", "[", "]", "٣", "²", "1_000", "0x10", "\ufeff", "é", "None",
]  # fmt: skip
_MAX_GROWN = 200_000


def junk(rng: Rng) -> Any:
    """A value that nobody expects where it will stand."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.choice([*_NUMBERS, _LONG])
    if kind == 2:
        return rng.choice(_REALS)
    if kind == 3:
        return rng.choice(_WORDS)
    if kind == 4:
        return deepcopy(rng.choice(_JUNK))
    return _nested(rng.choice([3, 40, 90]), rng.random() < 0.5)


def _nested(depth: int, lists: bool) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value] if lists else {"a": value}
    return value


# --- JSON -------------------------------------------------------------------------------------------------------------


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a document; of a long list some entries."""
    found = [path] if path else []
    if isinstance(data, dict):
        for key, value in data.items():
            found += _places(value, (*path, key))
    elif isinstance(data, list):
        for index in range(len(data)) if len(data) < 12 else (0, 1, len(data) // 2, len(data) - 1):
            found += _places(data[index], (*path, index))
    return found


def _near(value: Any, rng: Rng) -> Any:
    """Something of the same type that may still be meaningful."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice(
            [value + 1, value - 1, -value, 2 * value, value * 1000, value // 2, 0, float(value), str(value)]
        )
    if isinstance(value, float):
        return rng.choice([value * 2, -value, value * 1e6, value / 1e6, int(value) if abs(value) < 1e18 else 0, 0.0])
    if isinstance(value, str):
        return rng.choice([value + "x", value[:-1], value.upper(), value * 40, " " + value, value.replace("-", "_")])
    if isinstance(value, list):
        return rng.choice([value[:-1], value[1:], value + value[:1], value[::-1], value * 3, value + [deepcopy(value)]])
    if isinstance(value, dict):
        items = list(value.items())
        return dict(rng.choice([items[:-1], items[1:], items[::-1], [*items, ("surprise", 1)]]))
    return junk(rng)


def spoil_json(content: bytes, rng: Rng) -> bytes:
    """A document with some values replaced, removed, exchanged, renamed, given twice, or nested."""
    data = json.loads(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = _places(data)
        if not places:
            break
        path = rng.choice(places)
        at = data
        for key in path[:-1]:
            at = at[key]
        key = path[-1]
        kind = rng.randrange(10)
        if kind < 3:
            at[key] = _near(at[key], rng)
        elif kind < 6:
            at[key] = junk(rng)
        elif kind == 6:
            del at[key]
        elif kind == 7 and isinstance(at, dict):
            at[rng.choice([key + "x", key.upper(), key[:-1], *map(str, rng.sample(_WORDS, 2))])] = at.pop(key)
        elif kind == 8:
            other = rng.choice(places)
            there = data
            for step in other[:-1]:
                there = there[step] if isinstance(there, list | dict) and _has(there, step) else None
            if isinstance(there, list | dict) and _has(there, other[-1]) and _has(at, key):
                at[key] = deepcopy(there[other[-1]])
        else:
            at[key] = [at[key]]
    text = dumps(data)
    if rng.random() < 0.08:
        text = _key_twice(text, rng)
    if rng.random() < 0.05:
        depth = rng.choice([31, 33, 500, 100_000])
        text = "[" * depth + text + "]" * rng.choice([depth, 0])
    return text.encode("utf-8", "surrogatepass")


def dumps(data: Any) -> str:
    """JSON, also of what JSON has no numbers for, and of an integer that Python does not like to print."""
    return json.dumps(data).replace(json.dumps(_LONG), "9" * 5000)


def _has(at: Any, key: Any) -> bool:
    return key in at if isinstance(at, dict) else isinstance(key, int) and key < len(at)


def _key_twice(text: str, rng: Rng) -> str:
    places = [i for i, sign in enumerate(text) if sign == "{"]
    if not places:
        return text
    place = rng.choice(places)
    end = text.find(":", place)
    key = text[place + 1 : end].strip()
    return f"{text[: place + 1]}{key}: 1, {text[place + 1 :]}" if end > 0 and key.startswith('"') else text


# --- text and bytes ---------------------------------------------------------------------------------------------------


def spoil_text(content: bytes, rng: Rng) -> bytes:
    """Lines and words of a text replaced, removed, doubled, exchanged."""
    text = content.decode("utf-8", "replace")
    for _ in range(rng.choice([1, 1, 2, 4])):
        lines = text.split("\n")
        row = rng.randrange(len(lines))
        kind = rng.randrange(8)
        if kind == 0:
            del lines[row]
        elif kind == 1:
            lines.insert(row, lines[rng.randrange(len(lines))])
        elif kind == 2:
            other = rng.randrange(len(lines))
            lines[row], lines[other] = lines[other], lines[row]
        elif kind == 3:
            lines = lines[: row + 1]
        else:
            lines[row] = _spoil_line(lines[row], rng)
        text = "\n".join(lines)
    return text.encode("utf-8", "surrogatepass")


def _spoil_line(line: str, rng: Rng) -> str:
    separator = rng.choice([sign for sign in ", =(){}" if sign in line] or [" "])
    words = line.split(separator)
    place = rng.randrange(len(words))
    kind = rng.randrange(5)
    if kind == 0:
        words[place] = rng.choice(_TOKENS)
    elif kind == 1:
        words.insert(place, rng.choice([*_TOKENS, *words]))
    elif kind == 2:
        del words[place]
    elif kind == 3:
        other = rng.randrange(len(words))
        words[place], words[other] = words[other], words[place]
    else:
        at = rng.randrange(len(words[place]) + 1)
        words[place] = words[place][:at] + rng.choice(_TOKENS) + words[place][at + rng.randrange(2) :]
    return separator.join(words)


def spoil_bytes(content: bytes, rng: Rng) -> bytes:
    """Bytes flipped, removed, doubled, cut off; nothing at all; zeros; what is no UTF-8."""
    data = bytearray(content)
    kind = rng.randrange(9)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data) + 1)])
    if kind == 1:
        return rng.choice([b"", b"\n", b"\x00" * 64, b"\xff\xfe", b"\xef\xbb\xbf", b"{}", b"[]", b"null", b"0", b'""'])
    if kind == 2:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(1, 200)))
    if kind == 3 and 0 < len(data) < _MAX_GROWN:
        return bytes(data) * rng.randrange(2, 4)
    for _ in range(rng.choice([1, 1, 2, 8, 32])):
        if not data:
            break
        at = rng.randrange(len(data))
        action = rng.randrange(4)
        if action == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif action == 1:
            data[at] = rng.choice([0, 9, 10, 13, 32, 34, 44, 45, 48, 57, 91, 123, 127, 128, 255])
        elif action == 2:
            del data[at : at + rng.randrange(1, 12)]
        else:
            data[at:at] = data[at : at + rng.randrange(1, 12)]
    return bytes(data)


# --- tensors ----------------------------------------------------------------------------------------------------------


def split_tensors(content: bytes) -> tuple[dict[str, Any], bytes]:
    """(header, data) of a safetensors file."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join_tensors(header: Any, data: bytes, length: int | None = None) -> bytes:
    """The file of a header (any JSON) and data, whatever they say; `length` is what it claims of its header."""
    text = (header if isinstance(header, str) else dumps(header)).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def spoil_tensors(content: bytes, rng: Rng) -> bytes:
    """A header that lies about types, shapes, places or names; numbers that are none."""
    header, data = split_tensors(content)
    kind = rng.randrange(8)
    if kind == 0:
        return join_tensors(header, data, rng.choice([0, 1, 2**20, 2**31, 2**40, 2**63, 2**64 - 1]))
    if kind == 1:
        return spoil_bytes(content, rng)
    if kind in (2, 3):
        spoilt = bytearray(data)
        for _ in range(rng.choice([1, 4, 64])):
            at = 4 * rng.randrange(max(1, len(spoilt) // 4))
            spoilt[at : at + 4] = struct.pack("<f", rng.choice(_WEIGHTS))
        return join_tensors(header, bytes(spoilt[: len(data)]))
    names = [name for name in header if name != "__metadata__"]
    name = rng.choice(names)
    entry = header[name]
    if kind == 4:
        header[rng.choice(["../" + name, "", name + "x", "__metadata__", *rng.sample(_WORDS, 2)])] = header.pop(name)
    elif kind == 5:
        other = header[rng.choice(names)]
        part = rng.choice(["dtype", "shape", "data_offsets"])
        entry[part] = rng.choice([other[part], _near(entry[part], rng), junk(rng)])
    elif kind == 6:
        del header[name]
    else:
        first, last = entry["data_offsets"]
        entry["data_offsets"] = rng.choice(
            [[last, first], [-1, last], [first, last + 4], [first, 2**62], [0, last], []]
        )
    return join_tensors(header, data)


# --- trees ------------------------------------------------------------------------------------------------------------


def _spoil_of(name: str) -> Callable[[bytes, Rng], bytes]:
    return {"json": spoil_json, "safetensors": spoil_tensors}.get(name.rpartition(".")[2], spoil_text)


def spoil_tree(tree: Mapping[str, bytes], rng: Rng) -> Tree:
    """One or two files of a folder spoilt, now and then missing, exchanged, or something else than a file."""
    spoilt: Tree = dict(tree)
    for _ in range(rng.choice([1, 1, 1, 2])):
        name = rng.choice(sorted(tree))
        content = spoilt[name]
        if not isinstance(content, bytes):
            continue
        kind = rng.random()
        if kind < 0.02:
            spoilt[name] = None
        elif kind < 0.04:
            spoilt[name] = rng.choice([PIPE, name, "nowhere", BESIDE, "."])
        elif kind < 0.06 and len(tree) > 1:
            del spoilt[name]
            break
        elif kind < 0.08:
            spoilt[name] = tree[rng.choice(sorted(tree))]
        elif kind < 0.25:
            spoilt[name] = spoil_bytes(content, rng)
        else:
            try:
                spoilt[name] = _spoil_of(name)(content, rng)
            except (
                ValueError,
                LookupError,
                AttributeError,
                TypeError,
                RecursionError,
                ArithmeticError,
                struct.error,
            ):  # it is spoilt already
                spoilt[name] = spoil_bytes(content, rng)
    return spoilt


def restate_hash(tree: Tree, rng: Rng) -> None:
    """Let a checkpoint's card state the hash of the spoilt weights, so that more than the hash is looked at."""
    for name, content in tree.items():
        weights = tree.get(name.removesuffix("card.json") + "weights.safetensors")
        if not (name.endswith("card.json") and isinstance(content, bytes) and isinstance(weights, bytes)):
            continue
        if rng.random() < 0.8:
            try:
                card = json.loads(content)
                card["weights_sha256"] = hashlib.sha256(weights).hexdigest()
                tree[name] = dumps(card).encode("utf-8", "surrogatepass")
            except (ValueError, TypeError, RecursionError):
                continue
