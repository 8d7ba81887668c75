"""Rules of memory mapping, as pairs of (action feature, sign).

Each compares the slots of one access: what COPY or NO_COPY would gain against what it would take. DROP is 0 in the
features that measure gains, so that a rule by such a feature leaves to HBM what does not pay.
"""

from __future__ import annotations

from .rule import Rule

RULES = (
    Rule(
        "keep-first",
        (("is_no_copy", -1), ("is_copy", -1)),
        "goes on holding or produces in CMEM where it can, else copies, else leaves to HBM: the game in its own order",
        handful=True,
    ),
    Rule("all-hbm", (("is_drop", -1), ("is_copy", -1)), "leaves to HBM whatever it may: the run time without CMEM"),
    Rule(
        "saving",
        (("saving", -1), ("is_drop", -1)),
        "takes CMEM where that makes the instruction at hand faster, whatever it takes",
    ),
    Rule(
        "benefit-density",
        (("density_above_coming", -1), ("is_drop", -1)),
        "takes CMEM where the saving per byte and instruction held is above the mean of the next 32 accesses; the "
        "density that XLA's order of priority is made of, as a threshold",
        handful=True,
    ),
    Rule(
        "rent",
        (("net_worth", -1), ("is_drop", -1)),
        "takes CMEM where it pays: the saving and what the storage is worth later, less the rent of what is held and "
        "the toll of a copy by the prices of a Lagrangian relaxation, less what other storages in CMEM then lose",
        handful=True,
    ),
)
