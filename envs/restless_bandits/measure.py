"""Who was visited and who was left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def visit_metrics(visits: ArrayLike, groups: Sequence[str]) -> dict[str, Any]:
    """How visits are spread over arms.

    Args:
        visits: integers [J], epochs in which each arm was acted on.
        groups: of each arm.

    Returns:
        ``visits``, ``never_visited`` (share of arms), ``visits_min``, ``visits_max``, ``visits_gini`` (0: all alike),
        and ``visits_of/GROUP``, the mean of each group.
    """
    counts = np.asarray(visits, dtype=np.int64)
    found: dict[str, Any] = {
        "visits": int(counts.sum()),
        "never_visited": float((counts == 0).mean()),
        "visits_min": int(counts.min()),
        "visits_max": int(counts.max()),
        "visits_gini": gini(counts),
    }
    labels = np.array(groups)
    for group in dict.fromkeys(groups):
        found[f"visits_of/{group}"] = float(counts[labels == group].mean())
    return found


def gini(values: ArrayLike) -> float:
    """The Gini coefficient of non-negative values: half the mean absolute difference over the mean; 0 for all zeros.

    Source: C. Gini, Variabilità e mutabilità, 1912.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    total = ordered.sum()
    if total == 0.0:
        return 0.0
    count = len(ordered)
    return float(max((2.0 * np.arange(1, count + 1) - count - 1) @ ordered / (count * total), 0.0))
