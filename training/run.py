"""Train an agent: by PPO or by evolution strategies, as the agent asks for."""

from __future__ import annotations

from pathlib import Path

from .base import Run
from .config import AGENTS, TrainConfig
from .evolution import EvolutionRun
from .ppo import PPORun
from .progress import Progress


def make_run(config: TrainConfig, overwrite: bool, progress: Progress) -> Run:
    """A run of the kind that trains the config's agent.

    Raises:
        UserError: see `Run`.
    """
    kind = EvolutionRun if AGENTS[config.agent] == "scorer" else PPORun
    return kind(config, overwrite, progress)


def train(config: TrainConfig, overwrite: bool = False, quiet: bool = False) -> Path:
    """Run or continue a training run; returns its folder.

    The same config on a folder that holds its run continues it, and returns at once where it is finished.

    Args:
        config: what to do.
        overwrite: begin anew in a folder that holds another run.
        quiet: show no progress.

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
        progress.begin(run.validation)
        run.train()
        progress.end(run)
        return run.folder
