"""Greedy rules of air mobility: where an aircraft that may decide flies, or that it stays.

Profits are in dollars of what is known at the decision: fares of the passengers who can board less the flight's cost.
Ties go to staying, then to the lowest vertiport.
"""

from __future__ import annotations

from .rule import Rule, Term

_LEVEL = "demand_level"  # 0.5, 1 and 2 at low, medium and high load
_DOLLAR = 1 / 20  # in the unit of profits and values
_OURS = "ours; weights tuned on training days of la8"
_STAY = ("is_stay", -1)

RULES = (
    Rule(
        "greedy-profit",
        (("profit", -1), _STAY),
        "the flight of greatest profit, if that is above 0",
        handful=True,
    ),
    Rule(
        "greedy-demand",
        (("boardable", -1), _STAY),
        "the flight that most passengers can board, if there is one",
    ),
    Rule(
        "threshold-greedy",
        (("profit", -1), _STAY),
        f"the flight of greatest profit, if that is above theta dollars. {_OURS}",
        terms=(Term("is_stay", "theta", ((0.5, 5.0), (1.0, 5.0), (2.0, 15.0)), _DOLLAR),),
        level=_LEVEL,
    ),
    Rule(
        "lookahead-greedy",
        (("profit", -1), _STAY),
        "the greatest profit plus kappa times the worth of standing at the destination on arrival; staying counts theta"
        f" dollars and the worth of standing here a stay later. {_OURS}",
        terms=(
            Term("value", "kappa", ((0.5, 0.5), (1.0, 0.25), (2.0, 0.1))),
            Term("is_stay", "theta", ((1.0, 6.0),), _DOLLAR),
        ),
        level=_LEVEL,
        handful=True,
    ),
)
