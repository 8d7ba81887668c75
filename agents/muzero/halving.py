"""Sequential halving: which of the root's actions a simulation tries (Karnin, Koren & Somekh, ICML 2013)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray


def considered_visits(actions: int, simulations: int) -> list[int]:
    """How often the action that each simulation tries was tried before, when so many actions are considered.

    In each phase every action that is left is tried equally often; then the worse half is left out, down to two. Equal
    shares of the simulations go to the phases (Danihelka et al., ICLR 2022, section 3.4), and what is left over goes to
    the last two.
    """
    if actions <= 1:
        return list(range(simulations))
    phases = (actions - 1).bit_length()
    tried = [0] * actions
    sequence: list[int] = []
    left = actions
    while len(sequence) < simulations:
        for _ in range(max(1, simulations // (phases * left))):
            sequence += tried[:left]
            for place in range(left):
                tried[place] += 1
        left = max(2, left // 2)
    return sequence[:simulations]


@cache
def halving_table(most: int, simulations: int) -> NDArray[np.int64]:
    """int64 [most + 1, simulations]: `considered_visits` for 0 .. most considered actions."""
    table = np.zeros((most + 1, max(simulations, 1)), dtype=np.int64)
    for actions in range(1, most + 1):
        table[actions, :simulations] = considered_visits(actions, simulations)
    return table
