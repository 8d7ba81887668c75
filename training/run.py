"""Train an agent: by PPO, evolution strategies, self-labelling, search, or as a tree that is fitted to labels."""

from __future__ import annotations

from pathlib import Path

from .base import Run
from .config import TrainConfig
from .dag_order import DagOrderRun
from .evolution import EvolutionRun
from .mapper_order import MapperOrderRun
from .muzero import MuZeroRun
from .muzero_actors import Lead
from .ppo import PPORun
from .progress import Progress
from .self_label import SelfLabelRun
from .sequoia import SequoiaRun
from .tree import DasRun, ImitationRun


def make_run(config: TrainConfig, overwrite: bool, progress: Progress) -> Run:
    """A run of the kind that the config asks for.

    Raises:
        UserError: see `Run`.
    """
    kinds: dict[str, type[Run]] = {
        "es": EvolutionRun,
        "ppo": PPORun,
        "search": MuZeroRun,
        "self-label": SelfLabelRun,
        "dagger": ImitationRun,
        "compare": DasRun,
        "q-learning": SequoiaRun,
    }
    orders: dict[str, type[Run]] = {"mapper-order": MapperOrderRun, "dag-order": DagOrderRun}
    kind = orders.get(config.agent, kinds[config.trainer])
    return kind(config, overwrite, progress)


def train(config: TrainConfig, overwrite: bool = False, quiet: bool = False, lead: Lead | None = None) -> Path:
    """Run or continue a training run; returns its folder.

    The same config on a folder that holds its run continues it, and returns at once where it is finished.

    Args:
        config: what to do.
        overwrite: begin anew in a folder that holds another run.
        quiet: show no progress.
        lead: who leads the actors, where the config has some.

    Raises:
        UserError: see `Run`.
        Interrupted: by Ctrl-C; the run is saved and can be continued.
    """
    with Progress(config, quiet) as progress:
        run = make_run(config, overwrite, progress)
        if run.counters.finished:
            progress.say(f"{config.out} is finished: {run.decisions:,} decisions")
            return run.folder
        if not run.is_new:
            progress.say(f"going on after {run.decisions:,} decisions")
        if isinstance(run, MuZeroRun):
            run.lead = lead
        progress.begin(run.validation)
        run.train()
        progress.end(run)
        return run.folder
