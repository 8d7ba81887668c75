"""Files that the texts of a command name: by paths in the grammar of names, checkpoints as agents find them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ..agents.checkpoint import CARD, WEIGHTS, checkpoint_place
from ..agents.learned import find_checkpoint
from ..envs.core.errors import UserError

_KEY = re.compile(r"\A[a-zA-Z][a-zA-Z0-9_-]*=")


def find_named(text: str, find: Callable[[str], list[Path] | None]) -> Iterator[Path]:
    """The files that `find` knows behind the paths (words with a slash) that a text names.

    ``runs/a``, ``reconsider:of=mwkr:plan=runs/a`` and ``hybrid:of=spt+runs/a@samples=4`` name ``runs/a``. A path that
    holds ``+`` or ``@`` itself is taken whole where `find` knows it so; ``,`` and ``:`` always part.

    Args:
        text: names with options, or lists of them.
        find: gives None for what it does not know.
    """
    for part in re.split(r"[,:]", text):
        yield from _read(part.strip(), find)


def _read(word: str, find: Callable[[str], list[Path] | None]) -> Iterator[Path]:
    value = _KEY.sub("", word, count=1)
    if "/" not in value or "\0" in value:
        return
    found = find(value)
    if found is not None:
        yield from found
        return
    pieces = re.split(r"[+@]", value)
    if len(pieces) > 1:
        for piece in pieces:
            yield from _read(piece, find)


def checkpoint_files(path: str) -> list[Path] | None:
    """The files of the checkpoint that an agent plays by under this path: of a run its best; None where there is none.

    They lie below the path, or where a package keeps what it ships.
    """
    try:
        place = checkpoint_place(find_checkpoint(path))
    except UserError:
        return None  # whoever opens it says so
    files = [file for name in (CARD, WEIGHTS) if os.path.isfile(file := place / name)]
    return files or None
