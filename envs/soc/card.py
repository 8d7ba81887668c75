"""What DAG scheduling is, said without compiled code."""

from __future__ import annotations

from ..core.card import EnvCard, OptionCard, dataclass_options
from .options import STATIC_DEFAULTS, SocOptions, option_names

STREAM_INSTANCE = "ds3-six"
STATIC_INSTANCE = "random:tasks=20+30+50:count=100"
ROOM = ("max_jobs", "max_tasks", "max_edges", "max_pes", "max_groups", "max_kinds")
_STREAM_UNITS = {
    "latency": "microseconds, summed over jobs",
    "makespan": "microseconds",
    "energy": "nanojoules",
    "edp": "nanojoules times milliseconds",
}
_STATIC_UNITS = {
    "latency": "time units, summed over jobs",
    "makespan": "time units",
    "energy": "milliwatts times time units",
    "edp": "milliwatts times time units squared, over 1000",
}


def objective_of(options: SocOptions) -> dict[str, str]:
    """Name, unit and sense of what is played for: a chip's clock counts microseconds, a graph's what its file says."""
    units = _STATIC_UNITS if options.static else _STREAM_UNITS
    return {"name": options.objective, "unit": units[options.objective], "sense": "min"}


STREAM_OBJECTIVE = objective_of(SocOptions())
STATIC_OBJECTIVE = objective_of(SocOptions(**STATIC_DEFAULTS))


def _options(static: bool, default: str) -> tuple[OptionCard, ...]:
    names = option_names(static)
    changed = STATIC_DEFAULTS if static else {}
    fields = tuple(
        OptionCard(option.name, changed.get(option.name, option.default), option.description)
        for option in dataclass_options(SocOptions)
        if option.name in names
    )
    room = tuple(OptionCard(name, None, f"room for {name[4:]}; default that of the largest instance") for name in ROOM)
    given = OptionCard("instance", default, "names, sets, paths or random:tasks=50:pes=8 (see the page)")
    return (given, *room, *fields)


STREAM_CARD = EnvCard(
    description="DAG scheduling on a heterogeneous chip: a stream of jobs whose tasks are put on processing elements.",
    objective=STREAM_OBJECTIVE,
    options=_options(False, STREAM_INSTANCE),
)
STATIC_CARD = EnvCard(
    description="DAG scheduling on heterogeneous machines: all tasks of one DAG or several, planned at once.",
    objective=STATIC_OBJECTIVE,
    options=_options(True, STATIC_INSTANCE),
)
