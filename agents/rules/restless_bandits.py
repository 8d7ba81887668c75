"""Rules of restless bandits, as pairs of (action feature, sign): elements are picked greedily, then STOP.

Each compares the elements that may still be picked, whose features know what is picked already; STOP stands among them
with gains of 0, so that nothing is picked that does not pay. On sets that every part of an action belongs to a rule so
fills an action until nothing fits or pays. That is the best action of a `cardinality` set, elsewhere *greedy packing*.
"""

from __future__ import annotations

from .rule import Rule

_TIES = ("is_stop", 1)
_LAGRANGE = "the gain by a Lagrangian relaxation with one price (Whittle, Journal of Applied Probability 25A, 1988)"

RULES = (
    Rule(
        "index",
        (("index_gain", -1), _TIES),
        f"greatest index first, {_LAGRANGE}, until nothing fits or pays: index and greedy packing",
        special=True,
        handful=True,
    ),
    Rule(
        "index-per-use",
        (("index_gain_per_use", -1), _TIES),
        "greatest index over what the element takes of the scarce resource: hours, visits, edges of the walk",
        special=True,
        handful=True,
    ),
    Rule(
        "index-joint",
        (("index_gain", -1), ("joint_gain", -1), _TIES),
        "greatest index first, of equals the one that joint rewards gain most by at once",
        special=True,
    ),
    Rule(
        "myopic",
        (("myopic_gain", -1), _TIES),
        "greatest gain of the next expected reward first, until nothing fits or pays; exact on cardinality sets, "
        "elsewhere the iterative myopic policy of Xu et al. (ICLR 2025)",
        special=True,
        handful=True,
    ),
    Rule(
        "myopic-per-use",
        (("myopic_gain_per_use", -1), _TIES),
        "greatest gain of the next expected reward over what the element takes of the scarce resource",
        special=True,
    ),
    Rule(
        "longest-unvisited",
        (("since_visit", -1), ("index_gain", -1)),
        "the arm that was left alone for longest first, of equals that of the greatest index; fills the action",
    ),
    Rule("null", (("is_stop", -1),), "acts on nothing where that is allowed", special=True),
)
