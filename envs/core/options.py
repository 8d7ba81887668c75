"""Options of registered ids: which there are, and those that say what to have room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import FieldError, UnknownNameError

COMMON = ("instance", "on_illegal", "render_mode")
"""Options of every id beside those of its problem."""


def split_options(
    env_id: str, options: Mapping[str, Any], known: Iterable[str], room: Sequence[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the problem, and those that say what to have room for, None where they are not given.

    Args:
        env_id: for messages.
        options: what the user gave.
        known: names of the problem's options.
        room: names of the others.

    Raises:
        UnknownNameError: an option has another name.
    """
    own, needed, names = {}, dict.fromkeys(room), list(known)
    for name, value in options.items():
        if name in needed:
            needed[name] = value
        elif name in names:
            own[name] = value
        else:
            raise UnknownNameError(f"option of {env_id}", name, [*names, *COMMON, *room])
    return own, needed


def read_room(given: Mapping[str, Any], least: Sequence[int]) -> list[int]:
    """What to have room for: what is given, else what the instances need.

    Args:
        given: by the options' names; None where nothing is given.
        least: what the instances need, in the same order.

    Raises:
        FieldError: an option is no integer, or below that.
    """
    room = []
    for (name, value), low in zip(given.items(), least, strict=True):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
            raise FieldError(f"option {name}", value, f"an integer of at least {low}, as the instances need")
        room.append(low if value is None else value)
    return room
