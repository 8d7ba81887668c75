"""What each feature of air mobility's observation means, in words, for the page that lists them."""

from __future__ import annotations

_VERTIPORT = {
    "east": "where it lies",
    "north": "where it lies",
    "airport": "of this kind",
    "business": "of this kind",
    "residential": "of this kind",
    "stands": "how many",
    "chargers": "how many",
    "mean_delay": "mean take-off delay",
    "occupied": "stands taken or reserved",
    "standing": "aircraft that are here, boarding ones not counted",
    "inbound": "aircraft that fly or are about to fly here",
    "chargers_in_use": "how many; of none 0",
    "charger_queue": "aircraft that wait for a charger",
    "waiting_out": "passengers who wait here",
    "waiting_in": "passengers who wait elsewhere to come here",
    "is_here": "the deciding aircraft stands here",
}

_AIRCRAFT = {
    "east": "where it is",
    "north": "where it is",
    "charge": "energy now",
    "standing": "on a stand, in working order",
    "boarding": "decided to fly, not in its corridor yet",
    "flying": "in its corridor or unloading",
    "down": "on a stand, under repair",
    "charging": "plugged in",
    "queued": "waits for a charger",
    "time_to_decision": "until it decides next, as far as is known",
    "landings": "so far",
    "is_decider": "decides now",
}

_PAIRS = {
    "flyable": "a full battery lasts for it",
    "distance": "great circle",
    "energy": "of a flight",
    "open": "not closed by weather",
    "closure_left": "until the announced end of its closure",
    "waiting": "how many wait for it",
    "oldest_wait": "of whoever has waited longest",
    "fare": "now",
    "forecast_hour": "expected in the coming hour",
}

_SERIES = {
    "forecast": "expected in a quarter hour",
    "forecast_back": "expected in a quarter hour",
    "forecast_out": "expected in a quarter hour",
    "fare": "in that quarter hour",
}

_GLOBAL = {
    "day_passed": "the clock, which begins at 06:00",
    "day_sine": "of the clock",
    "day_cosine": "of the clock",
    "charge": "of the deciding aircraft",
    "stays": "of the deciding aircraft, since its last flight",
    "airborne": "share of the fleet in corridors",
    "waiting": "on all vertiports",
    "legal_share": "share of the actions that are legal",
    "demand_level": "forecast of the day: 0.5, 1 and 2 at low, medium and high load",
    "demand_now": "expected",
    "best_profit": "0 if none is above it",
    "value_here": "as `value` of the slots",
    "occupied_here": "taken or reserved",
    "mean_delay": "mean take-off delay",
}

_ACTION = {
    "is_stay": "the action stay",
    "profit": "fares of who can board, less the flight's cost; 0 for stay",
    "boardable": "who can board",
    "waiting": "how many wait for this flight",
    "oldest_wait": "of whoever has waited longest",
    "fare": "of a passenger now",
    "next_fare": "of a passenger in the next quarter hour",
    "cost": "of the flight",
    "full_profit": "profit of a full flight now",
    "profit_below_best": "`best_profit` less profit",
    "value": "`val` at arrival, see Rules",
    "value_gain": "value less that here after a stay",
    "occupied_after": "taken or reserved there, this aircraft included",
    "free_stands": "there",
    "inbound": "aircraft on the way there",
    "standing": "aircraft there",
    "spare_chargers": "free there",
    "has_chargers": "there are some",
    "charge_after": "after landing, or after the stay",
    "charge_margin": "of that, what reserve and escape leave",
    "distance": "of the flight",
    "duration": "until ready there, or of the stay",
    "forecast": "expected for this flight",
    "forecast_hour": "expected for this flight in the coming hour",
    "forecast_back": "expected for the flight back",
    "forecast_out": "expected",
    "fare_back": "of the flight back",
    "waiting_out": "who wait",
    "waiting_back": "who wait for the flight back",
    "demand_per_seat": "waiting there and expected in the hour from arrival",
    "time_left": "of the day",
}

_GROUPS = {
    "vertiport": _VERTIPORT,
    "aircraft": _AIRCRAFT,
    "pairs": _PAIRS,
    "series/vertiport": _SERIES,
    "global": _GLOBAL,
    "action": _ACTION,
}
MEANINGS = {(group, name): text for group, texts in _GROUPS.items() for name, text in texts.items()}
