"""The foresight of a training run."""

from __future__ import annotations

from pathlib import Path

from ..agents.agent import Setting
from ..agents.checkpoint import parse_arrays
from ..agents.foresight import Foresight, make_foresight, restore_foresight
from ..agents.planners.bases import base_names
from ..envs.core.files import read_bounded
from .config import TrainConfig
from .folder import STATE
from .state import MAX_BYTES


def foresight_of_run(config: TrainConfig, setting: Setting, folder: Path, is_new: bool) -> Foresight | None:
    """Foresight as a config asks for it; of a run that goes on, with the scorers that it began with.

    Those at their paths may have been deleted or trained further in the meantime.

    Args:
        config, folder: of the run.
        setting: of its environment.
        is_new: whether the run begins.

    Raises:
        UserError: see `make_foresight` and `restore_foresight`.
    """
    state = folder / STATE
    if config.foresight is None:
        return None
    if is_new or not state.is_file():
        return make_foresight(config.foresight, config.foresight_worlds, setting)
    kept = parse_arrays(read_bounded(state, MAX_BYTES), str(state))
    of = {"of": base_names(config.foresight)}
    return restore_foresight(of, kept, config.foresight_worlds, setting, str(state))
