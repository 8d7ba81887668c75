"""Errors that are a user's to mend: one line each, naming what was given and what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in something a user gave. The command line prints it as one line and exits with code 2."""


class FieldError(UserError):
    """A field of a file or an option holds something else than expected.

    Attributes:
        field: where it stands, for example ``jobs[3].times[2]`` or ``option p``.
        value: what stands there.
        expected: what should stand there.
    """

    def __init__(self, field: str, value: object, expected: str, source: str | None = None) -> None:
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        self.field, self.value, self.expected, self.source = field, value, expected, source
        where = f"{source}: " if source else ""
        super().__init__(f"{where}{field} is {shown}, expected {expected}")


class UnknownNameError(UserError):
    """A name (of an id, an agent, an instance, an option) that nobody knows; the nearest known one is suggested.

    Attributes:
        nearest: the known name that is suggested; None where none is near.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        self.nearest = near[0] if near else None
        if near:
            hint = f"did you mean {near[0]!r}?"
        elif len(known) <= 24:
            hint = f"known: {', '.join(known) or 'none'}"
        else:
            hint = f"{len(known)} are known, from {known[0]!r} to {known[-1]!r}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class MissingExtraError(UserError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str, module: str) -> None:
        super().__init__(f"{what} needs {module!r}, which is not installed: pip install 'makespan[{extra}]'")
