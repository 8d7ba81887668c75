"""The randomness of an agent's copies: which key each has, and how many decisions it has made by it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Streams:
    """A key and a count for each copy, for counter-based randomness; there is room for whichever copies have begun."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, dtype=np.uint64)
        self._counts = np.zeros(0, dtype=np.int64)

    def begin(self, copies: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        """Some copies begin an episode: each with its key, and with no decision made.

        Args:
            copies: int64 [k], which; the others go on as they are.
            keys: uint64 [k].
        """
        missing = max(int(copies.max()) + 1 - len(self._keys), 0)
        self._keys = np.append(self._keys, np.zeros(missing, dtype=np.uint64))
        self._counts = np.append(self._counts, np.zeros(missing, dtype=np.int64))
        self._keys[copies], self._counts[copies] = keys, 0

    def of(self, n: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """(keys, counts) of the first n copies, as views: whoever decides counts on."""
        return self._keys[:n], self._counts[:n]
