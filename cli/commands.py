"""The commands' arguments. Each command imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg


def evaluate(
    env: Positional[str],
    *,
    agents: Annotated[str, arg(aliases=["--agent"])],
    instances: str | None = None,
    seeds: str = "0",
    reference: str | None = None,
    sweep: UseAppendAction[tuple[str, ...]] = (),
    out: str | None = None,
    overwrite: bool = False,
    batch: int = 64,
    agent_seed: int = 0,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Compare agents on an environment: the same instances, the same seeds, every schedule checked.

    Args:
        env: an id with options, for example makespan/JobShop-v0:law=bernoulli:p=0.005
        agents: a list by commas: mwkr,random:samples=64,checkpoints/job_shop_graph_ppo
        instances: a list by commas of names, ranges (la01-la40), files (path/*.json) or
            random:size=15x15:count=100:seed=7; default what the environment plays by itself
        seeds: worlds: 0 or 0,7,9 or 0-99
        reference: the agent that the others are compared with; default best-rule, else the first rule
        sweep: an option of the environment with values, for example p=0,0.005; may be repeated
        out: folder for results.json, results.csv, summary.md, schedules and pictures; the same command continues it
        overwrite: replace what another evaluation left in the folder
        batch: worlds played at once; time per decision is measured at this batch
        agent_seed: seed of the agents' own randomness
        device: where networks run: auto, cpu, cuda
        json: print rows, table and notes as JSON
    """
    from ..eval.plan import Request
    from .evaluate import run

    request = Request(env, agents, instances, seeds, reference, tuple(sweep), batch, agent_seed, device)
    return run(request, sys.argv[1:], out, overwrite, json)


def show(
    results: Positional[str],
    *,
    row: int = 0,
    out: str | None = None,
    format: Literal["ansi", "json", "png", "svg", "pdf"] | None = None,
) -> int:
    """Draw the schedule of one row of an evaluation again.

    Args:
        results: the folder that evaluate wrote
        row: number of the row in results.json, from 0
        out: a file: .png, .svg and .pdf hold the picture, .txt the chart as text, .json the schedule; default the
            terminal
        format: how to draw where the file's name does not say it
    """
    from .show import run

    return run(results, row, out, format)


def envs(*, json: bool = False) -> int:
    """List the environments with their options.

    Args:
        json: print JSON
    """
    from .envs import run

    return run(json)


def check(env: Positional[str], *, json: bool = False) -> int:
    """Test whether an environment keeps the contract, and say in words what is broken.

    Args:
        env: an id, for example makespan/JobShop-v0
        json: print JSON
    """
    from .check import run

    return run(env, json)
