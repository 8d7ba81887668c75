"""What the job shop is, said without compiled code."""

from __future__ import annotations

from ..core.card import EnvCard, OptionCard, dataclass_options
from .options import JobShopOptions

DEFAULT_INSTANCE = "random:size=6x6"
OBJECTIVE = {"name": "makespan", "unit": "time units of the instance", "sense": "min"}

CARD = EnvCard(
    description="Blocking job shop with swaps and machine interruptions.",
    objective=OBJECTIVE,
    options=(
        OptionCard("instance", DEFAULT_INSTANCE, "names, ranges, paths or random:size=6x6 (a new one each episode)"),
        OptionCard("max_jobs", None, "room for jobs; default that of the largest instance"),
        OptionCard("max_machines", None, "room for machines; default that of the largest instance"),
        OptionCard("max_operations", None, "room for operations of a job; default that of the largest instance"),
        *dataclass_options(JobShopOptions),
    ),
)
