"""What memory mapping is, said without compiled code."""

from __future__ import annotations

from ..core.card import EnvCard, OptionCard, dataclass_options
from .options import MemoryOptions

DEFAULT_INSTANCE = "random:size=50+100+200"
OBJECTIVE = {"name": "run time", "unit": "picoseconds", "sense": "min"}

CARD = EnvCard(
    description="Memory mapping: which tensors of a program lie in fast on-chip memory, when and where.",
    objective=OBJECTIVE,
    options=(
        OptionCard(
            "instance", DEFAULT_INSTANCE, "names, ranges, paths or random:size=100 (accesses; a new one each episode)"
        ),
        OptionCard("max_instructions", None, "room for instructions; default that of the largest instance"),
        OptionCard("max_tensors", None, "room for tensors; default that of the largest instance"),
        OptionCard("max_accesses", None, "room for accesses; default that of the largest instance"),
        *dataclass_options(MemoryOptions),
    ),
)
