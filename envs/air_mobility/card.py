"""What urban air mobility is, said without compiled code."""

from __future__ import annotations

from typing import Any

from ..core.card import EnvCard, OptionCard, dataclass_options
from .options import MICRO, AirOptions

DEFAULT_INSTANCE = "la8-medium"
OBJECTIVE: dict[str, Any] = {
    "name": "profit",
    "unit": "micro-dollars",
    "sense": "max",
    "shown_unit": "$",
    "shown_divisor": MICRO,
}
ROOM = ("max_vertiports", "max_aircraft")

CARD = EnvCard(
    description="Urban air mobility: a fleet of electric aircraft flies passengers between vertiports through one day.",
    objective=OBJECTIVE,
    options=(
        OptionCard("instance", DEFAULT_INSTANCE, "names, files or random:size=8x40:load=medium (see the page)"),
        *(OptionCard(name, None, f"room for {name[4:]}; default that of the largest instance") for name in ROOM),
        *dataclass_options(AirOptions),
    ),
)
