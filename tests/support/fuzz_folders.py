"""Readers of folders: of evaluations, of searches, of training runs, and of checkpoints with who plays them."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import load_checkpoint
from makespan.cli.main import main
from makespan.envs.core.errors import UserError
from makespan.eval.optimise import Task, make_task
from makespan.eval.show import read_row, read_rows, read_schedule, text_of
from makespan.eval.solution_folder import SolutionFolder
from makespan.eval.store import read_part, read_run
from makespan.training.config import TrainConfig
from makespan.training.folder import read_config

from .fuzzing import Reader, content_of, unwhole, write_tree

# Its libraries make folders of their own: before nothing outside may be made, or half of them would be imported.
importlib.import_module("makespan.agents.networks.graph")

SHOP = "makespan/JobShop-v0"
SMALL = "random-2x2-s1"
EVALUATION = [SHOP, "--agents", "spt,random", "--instances", SMALL, "--seeds", "0-1"]
SEARCH = [SMALL, "--agent", "mwkr", "--seconds", "0.1"]


def made_by(command: list[str], kept: Callable[[str], bool] = lambda name: True) -> dict[str, bytes]:
    """What a command writes into its folder."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        with contextlib.redirect_stdout(io.StringIO()):
            assert main([*command, "--out", str(out)]) == 0
        return {name: data for name, data in content_of(out).items() if isinstance(data, bytes) and kept(name)}


# --- evaluations ------------------------------------------------------------------------------------------------------


def _show(folder: Path) -> object:
    """Everything that ``makespan show`` reads to print a schedule."""
    rows = read_rows(folder)
    for row in (read_row(folder, 0, "spt"), read_row(folder, len(rows) - 1)):
        text_of(row, read_schedule(folder, row))
    return rows


def run_command(arguments: list[str]) -> int:
    """A command in this process, silent.

    Raises:
        UserError: it ends with exit code 2; the one line that it prints.
        AssertionError: it ends otherwise than 0, 1 or 2, or prints something else than one line then.
    """
    said, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        try:
            code = main(arguments)
        except SystemExit as end:  # help
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 99
    assert code in (0, 1, 2), f"exit code {code}"
    if code == 2:
        lines = errors.getvalue().splitlines()
        assert len(lines) == 1, f"{len(lines)} lines: {errors.getvalue()[:300]!r}"
        raise UserError(lines[0])
    assert code == 0 or "Traceback" not in errors.getvalue()
    return code


def _continue(folder: Path) -> object:
    """The same command goes on, in a copy, and shows what there is."""
    with copied(folder) as copy:
        return run_command(["evaluate", *EVALUATION, "--out", str(copy)])


@contextlib.contextmanager
def copied(folder: Path) -> Iterator[Path]:
    """A copy of a folder for who writes into it; whatever lies there then is whole."""
    copy = folder.parent / "copy"
    tree = content_of(folder)
    write_tree(copy, tree)
    try:
        yield copy
    finally:
        broken = unwhole(copy, tree)
        shutil.rmtree(copy, ignore_errors=True)
        assert not broken, f"not whole: {broken}"


def _parts(folder: Path) -> object:
    read_run(folder)
    return [read_part(path) for path in sorted(folder.glob("schedules/*"))]


# --- searches ---------------------------------------------------------------------------------------------------------


def _search_task() -> Task:
    return make_task(SMALL, "mwkr", 0.1, None, SHOP, 0, {})


def _search(task: Task, folder: Path) -> object:
    with contextlib.closing(SolutionFolder(str(folder), task, "")) as found:
        return found.before


# --- checkpoints and training runs ------------------------------------------------------------------------------------


def shipped(name: str) -> dict[str, bytes]:
    """A checkpoint that ships."""
    import makespan

    folder = Path(str(makespan.__file__)).parent / "checkpoints" / name
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _player(env_id: str, options: Mapping[str, Any], name: str, folder: Path) -> object:
    """Play a world with a checkpoint."""
    arena = open_arena(env_id, 1, options)
    return play(arena, make_agent(f"{folder}{name}", arena.setting), [Case(None, 0)])


PLAYED: dict[str, tuple[str, dict[str, Any], str]] = {
    "job_shop_scorer": (SHOP, {"instance": SMALL}, ""),
    "memory_mapping_order": ("makespan/MemoryMapping-v0", {"instance": "random-30-s1"}, ""),
    "dag_order": ("makespan/StaticDag-v0", {"instance": "gap-exact"}, ""),
    "soc_tree": ("makespan/SocDag-v0", {"horizon": 200, "warmup": 10}, ""),
    "restless_bandits_contagion_sequoia": ("makespan/RestlessBandits-v0", {"instance": "contagion-j20-0"}, ""),
    "job_shop_alphazero": (SHOP, {"instance": SMALL}, ":simulations=2"),
    "job_shop_graph_ppo": (SHOP, {"instance": SMALL}, ""),
    "job_shop_attention_ppo": (SHOP, {"instance": SMALL}, ""),
    "soc_deepsocs": ("makespan/SocDag-v0", {"horizon": 200, "warmup": 10}, ""),
}
"""Checkpoints of every kind, the environment that each plays, and how."""

TINY: dict[str, Any] = {
    "instances": "random:size=2x2", "steps": 32, "minutes": 1e6, "copies": 2, "rollout": 4, "batch": 8, "epochs": 1,
    "width": 4, "layers": 1, "validate_every": 1e9, "validation_worlds": 2, "save_every": 0.0, "device": "cpu",
    "threads": 1, "evolve_directions": 2, "evolve_worlds": 2, "replay": 64, "simulations": 2, "unroll": 2,
    "label_worlds": 2, "label_tries": 2, "tree_leaves": 8,
}  # fmt: skip
RUNS: dict[str, dict[str, Any]] = {
    "scorer": {"agent": "scorer", "steps": 1},
    "ppo": {"agent": "slots-ppo"},
    "self-label": {"agent": "slots-ppo", "algorithm": "self-label"},
    "alphazero": {"agent": "alphazero", "encoder": "slots"},
    "tree": {"agent": "tree", "imitate": "spt"},
    "dag-order": {
        "agent": "dag-order", "env": "makespan/StaticDag-v0", "instances": "random:tasks=10", "steps": 1,
    },
    "mapper-order": {
        "agent": "mapper-order", "env": "makespan/MemoryMapping-v0", "instances": "random:size=20", "steps": 1,
    },
    "sequoia": {
        "agent": "sequoia", "env": "makespan/RestlessBandits-v0", "instances": "random:size=cardinality-j20",
    },
}  # fmt: skip
"""Tiny runs of every kind of trainer."""


def tiny_config(name: str, out: Path | str) -> TrainConfig:
    """One of `RUNS`."""
    return TrainConfig(**{"env": SHOP, "out": str(out), **TINY, **RUNS[name]})


def _trained(name: str) -> dict[str, bytes]:
    """What a tiny run that is not finished leaves, logs aside."""
    from makespan.training.progress import Progress
    from makespan.training.run import make_run

    with tempfile.TemporaryDirectory() as place:
        config = tiny_config(name, f"{place}/run")
        run = make_run(config, False, Progress(config, True))
        run.train()
        return {
            path: data
            for path, data in content_of(Path(config.out)).items()
            if isinstance(data, bytes) and not path.startswith("tensorboard")
        }


def _resume(name: str, folder: Path) -> object:
    """Take up a run, as the same command does, in a copy: it may tidy up."""
    from makespan.training.progress import Progress
    from makespan.training.run import make_run

    with copied(folder) as copy:
        config = tiny_config(name, copy)
        run = make_run(config, False, Progress(config, True))
        return run.decisions


def _whole_checkpoint(folder: Path) -> object:
    return load_checkpoint(folder)


def folder_readers() -> list[Reader]:
    """Folders that need no network."""
    evaluation = made_by(["evaluate", *EVALUATION], lambda name: name.endswith(".json"))
    search = made_by(["optimise", *SEARCH], lambda name: name in ("run.json", "result.json", "schedule.json"))
    config = json.dumps(
        {"format": "makespan/training-run", "version": 1, "command": "train", "config": _config_data()}
    ).encode()
    return [
        Reader("evaluation shown", [evaluation], _show),
        Reader("evaluation continued", [evaluation], _continue),
        Reader("evaluation parts", [evaluation], _parts),
        Reader("search continued", [search], partial(_search, _search_task())),
        Reader("training run.json", [{"run.json": config}], read_config),
        Reader("checkpoint", [shipped("dag_order"), shipped("job_shop_scorer")], _whole_checkpoint),
    ]


def _config_data() -> dict[str, Any]:
    return {key: value for key, value in tiny_config("ppo", "x").to_dict().items() if key != "out"}


def learned_reader(name: str) -> Reader:
    """A checkpoint that ships, loaded and played."""
    env_id, options, text = PLAYED[name]
    return Reader(f"play {name}", [shipped(name)], partial(_player, env_id, options, text))


def resumed_reader(name: str) -> Reader:
    """A tiny training run that is taken up."""
    return Reader(f"resume {name}", [_trained(name)], partial(_resume, name))
