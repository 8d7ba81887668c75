"""Makes a checkpoint that ships out of a training run, and writes measured results into its card.

``python -m makespan.eval.publish checkpoints/NAME --run runs/x`` copies the run's best checkpoint (by validation);
``python -m makespan.eval.publish checkpoints/NAME --results results/a results/b`` sums up evaluations in its card.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from tyro.conf import Positional

from ..agents.checkpoint import load_checkpoint, save_checkpoint
from ..agents.learned import find_checkpoint
from ..envs.core.errors import UserError
from ..envs.core.files import decode_text, read_bounded
from ..envs.core.instance import parse_json
from .statistics import Bootstrap, relative
from .store import read_run

_HEADER = ("format", "version", "weights_sha256")


def publish(run: str | Path, target: str | Path, notes: str = "") -> None:
    """Copy the best checkpoint of a run; its card gets the name and the command that made it.

    Raises:
        UserError: the run has no checkpoint, or the target cannot be written.
    """
    weights, card = load_checkpoint(find_checkpoint(str(run)))
    config = card["training"]["config"]
    card["training"]["command"] = train_command(config)
    _save(target, weights, {**card, "name": Path(target).name, **({"notes": notes} if notes else {})})


def train_command(config: Mapping[str, Any], out: str = "runs/x", usual: Mapping[str, Any] | None = None) -> str:
    """The command line that begins a training run, safe in a shell.

    Args:
        config: of the run; all that is not None is said, so that later defaults change nothing.
        out: the run's folder.
        usual: options that are left out where they are as here.
    """
    command = ["makespan", "train", str(config["env"]), "--agent", str(config["agent"]), "--out", out]
    for key, value in config.items():
        if key in ("env", "agent", "out") or value is None or (usual is not None and value == usual[key]):
            continue
        whole = isinstance(value, float) and value.is_integer()
        command += [f"--{key.replace('_', '-')}", str(int(value) if whole else value)]
    return shlex.join(command)


def add_results(target: str | Path, folders: Sequence[str | Path]) -> None:
    """Put summaries of evaluations into a checkpoint's card, in place of those that are there.

    Raises:
        UserError: a folder holds no finished evaluation, or the card cannot be written.
    """
    weights, card = load_checkpoint(target)
    _save(target, weights, {**card, "results": [entry for folder in folders for entry in summarise(Path(folder))]})


def summarise(folder: Path) -> list[dict[str, Any]]:
    """One entry for each choice of the environment's options in an evaluation's folder.

    Raises:
        UserError: it holds no finished evaluation.
    """
    record = read_run(folder)
    path = folder / "results.json"
    rows = parse_json(decode_text(read_bounded(path), str(path)), str(path))
    if not isinstance(rows, list) or not rows:
        raise UserError(f"{path} holds no rows")
    entries = []
    for _, variant in groupby(rows, key=lambda row: json.dumps(row["env_options"], sort_keys=True)):
        entries.append({"command": record["command"], **_variant(list(variant), _reference(record["command"]))})
    return entries


def _reference(command: str) -> str | None:
    """What an evaluation's command compared with; None: it did not say."""
    words = shlex.split(command)
    return words[words.index("--reference") + 1] if "--reference" in words[:-1] else None


def _variant(rows: list[dict[str, Any]], reference: str | None) -> dict[str, Any]:
    agents = {agent: list(block) for agent, block in groupby(rows, key=lambda row: row["agent"])}
    cases = [[row["instance"], row["seed"]] for row in next(iter(agents.values()))]
    bootstrap = Bootstrap([instance for instance, _ in cases])
    objectives = {agent: np.array([row["objective"] for row in block]) for agent, block in agents.items()}
    if reference not in agents:
        usual = (name for name in ("best-rule:hindsight=1", "best-rule") if name in agents)
        reference = next(usual, next(iter(agents)))
    lines = {}
    for agent, block in agents.items():
        estimates = bootstrap.estimates(
            {
                "objective": objectives[agent],
                "gap": [np.nan if row["gap"] is None else row["gap"] for row in block],
                "relative": relative(objectives[agent], objectives[reference]),
            }
        )
        lines[agent] = {name: estimate.to_dict() for name, estimate in estimates.items()}
    return {
        "env": rows[0]["env"],
        "env_options": rows[0]["env_options"],
        "worlds": len(cases),
        "test_set_sha256": hashlib.sha256(json.dumps(cases).encode()).hexdigest(),
        "reference": reference,
        "agents": lines,
    }


def _save(target: str | Path, weights: Any, card: dict[str, Any]) -> None:
    save_checkpoint(target, weights, {key: value for key, value in card.items() if key not in _HEADER})


def main(target: Positional[str], run: str | None = None, results: tuple[str, ...] = (), notes: str = "") -> None:
    """Publish a run's best checkpoint, or add evaluations to a published card.

    Args:
        target: folder of the checkpoint that ships.
        run: folder of the training run; omitted where only results are added.
        results: folders of evaluations.
        notes: what users of the checkpoint should know.
    """
    if run is not None:
        publish(run, target, notes)
    if results:
        add_results(target, results)


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except UserError as error:
        sys.exit(f"error: {error}")
