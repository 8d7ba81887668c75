"""The ids that `import makespan` registers, and the entry-point group through which others add theirs."""

from __future__ import annotations

import importlib
import warnings
from importlib.metadata import EntryPoint, entry_points
from time import perf_counter
from typing import TYPE_CHECKING

from gymnasium.envs.registration import register, registry

if TYPE_CHECKING:
    from .core.card import EnvCard

PLUGIN_GROUP = "makespan.plugins"
_SLOW = 1.0  # seconds; every command waits for a plug-in


class PluginWarning(UserWarning):
    """A package that is installed beside makespan cannot be used, or holds it up."""


# id, entry point of one copy, entry point of many copies. Strings, so that nothing compiled is imported here.
BUILT_IN = (
    (
        "makespan/JobShop-v0",
        "makespan.envs.job_shop.env:JobShopEnv",
        "makespan.envs.job_shop.env:JobShopVectorEnv",
    ),
    (
        "makespan/MemoryMapping-v0",
        "makespan.envs.memory_mapping.env:MemoryMappingEnv",
        "makespan.envs.memory_mapping.env:MemoryMappingVectorEnv",
    ),
    (
        "makespan/RestlessBandits-v0",
        "makespan.envs.restless_bandits.env:RestlessBanditsEnv",
        "makespan.envs.restless_bandits.env:RestlessBanditsVectorEnv",
    ),
    ("makespan/SocDag-v0", "makespan.envs.soc.env:SocDagEnv", "makespan.envs.soc.env:SocDagVectorEnv"),
    ("makespan/StaticDag-v0", "makespan.envs.soc.env:StaticDagEnv", "makespan.envs.soc.env:StaticDagVectorEnv"),
    (
        "makespan/AirMobility-v0",
        "makespan.envs.air_mobility.env:AirMobilityEnv",
        "makespan.envs.air_mobility.env:AirMobilityVectorEnv",
    ),
)

# Where an id's card lies (description, objective, options), which can be read without loading compiled code.
CARDS = {
    "makespan/JobShop-v0": "makespan.envs.job_shop.card:CARD",
    "makespan/MemoryMapping-v0": "makespan.envs.memory_mapping.card:CARD",
    "makespan/RestlessBandits-v0": "makespan.envs.restless_bandits.card:CARD",
    "makespan/SocDag-v0": "makespan.envs.soc.card:STREAM_CARD",
    "makespan/StaticDag-v0": "makespan.envs.soc.card:STATIC_CARD",
    "makespan/AirMobility-v0": "makespan.envs.air_mobility.card:CARD",
}

_done = False


def register_all() -> None:
    """Register our ids and call every installed plug-in once; a broken plug-in is named in a warning and skipped.

    A plug-in names what it registers by strings, so that only what is used is loaded.
    """
    global _done
    if _done:
        return
    _done = True
    for env_id, single, batched in BUILT_IN:
        register(id=env_id, entry_point=single, vector_entry_point=batched)
    for entry in entry_points(group=PLUGIN_GROUP):
        began = perf_counter()
        try:
            entry.load()()
        except (Exception, SystemExit) as error:
            _warn(entry, f"ignored: {error!r}")
        else:
            if (taken := perf_counter() - began) > _SLOW:
                _warn(entry, f"takes {taken:.1f} s to register; name its classes by strings, so that they load later")


def _warn(entry: EntryPoint, text: str) -> None:
    """A warning on one line that names the package and not the line of ours that gives it."""
    package = entry.dist.name if entry.dist is not None else entry.value.partition(".")[0]
    told = " ".join(f"plug-in {entry.name!r} of package {package!r} ({entry.value}) {text}".split())
    warnings.warn_explicit(told, PluginWarning, package, 0)


def contract_ids() -> list[str]:
    """Registered ids that may keep the contract: ours and those of plug-ins, not Gymnasium's own."""
    return sorted(env_id for env_id, spec in registry.items() if not _module(spec.entry_point).startswith("gymnasium."))


def find_card(env_id: str) -> EnvCard:
    """What can be said of an environment without loading compiled code.

    Raises:
        UserError: the id is unknown, its class cannot be imported, or it names no objective, as the contract demands.
    """
    from .core.card import class_card
    from .core.ids import find_env

    spec = find_env(env_id)
    if env_id not in CARDS:
        return class_card(spec)
    module, _, name = CARDS[env_id].partition(":")
    return getattr(importlib.import_module(module), name)


def _module(entry_point: object) -> str:
    if isinstance(entry_point, str):
        return entry_point.partition(":")[0]
    return str(getattr(entry_point, "__module__", ""))
