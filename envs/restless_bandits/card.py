"""What restless bandits are, said without compiled code."""

from __future__ import annotations

from ..core.card import EnvCard, OptionCard, dataclass_options
from .options import BanditOptions

DEFAULT_INSTANCE = "random:size=capacity-j20"
OBJECTIVE = {"name": "return", "unit": "reward", "sense": "max"}

CARD = EnvCard(
    description="Coupled restless bandits: which arms to act on, where a combinatorial set couples them.",
    objective=OBJECTIVE,
    options=(
        OptionCard(
            "instance",
            DEFAULT_INSTANCE,
            "names (k2b, capacity-j40-3), ranges, paths or random:size=capacity-j20 (a hundred unless count says)",
        ),
        *dataclass_options(BanditOptions),
    ),
)
