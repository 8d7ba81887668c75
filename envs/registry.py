"""The ids that `import makespan` registers, and the entry-point group through which others add theirs."""

from __future__ import annotations

import warnings
from importlib.metadata import entry_points

from gymnasium.envs.registration import register

PLUGIN_GROUP = "makespan.plugins"

# id, entry point of one copy, entry point of many copies. Strings, so that nothing compiled is imported here.
BUILT_IN = (
    (
        "makespan/JobShop-v0",
        "makespan.envs.job_shop.env:JobShopEnv",
        "makespan.envs.job_shop.env:JobShopVectorEnv",
    ),
)

_done = False


def register_all() -> None:
    """Register our ids and call every installed plug-in once; a broken plug-in is named in a warning and skipped."""
    global _done
    if _done:
        return
    _done = True
    for env_id, single, batched in BUILT_IN:
        register(id=env_id, entry_point=single, vector_entry_point=batched)
    for entry in entry_points(group=PLUGIN_GROUP):
        try:
            entry.load()()
        except Exception as error:
            warnings.warn(f"plug-in {entry.name!r} ({entry.value}) ignored: {error!r}", stacklevel=2)
