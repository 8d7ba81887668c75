"""How near stepping with whole observations comes to the memory's own speed, for every environment.

    python benchmarks/bandwidth.py                                    # a table
    python benchmarks/bandwidth.py --write docs/benchmarks.md --copies 256 --seconds 2

A step of the vector door hands out one observation per copy. Nobody who hands out fresh arrays can be faster than
writing that many bytes: that limit is measured beside it, in the same process and in turn, by filling an array of the
same size (which may fit into the cache, as the observation then does) and one of 256 MiB (which fits into none).
Actions are drawn at random among the legal ones before the clock starts, so that only the environment is timed;
episodes that end begin anew within the time. One thread; rates are per CPU second, medians over rounds.
"""

from __future__ import annotations

import platform
import time
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium
import makespan  # noqa: F401
import numpy as np
import tyro
from makespan.envs.registry import contract_ids
from numpy.typing import NDArray
from rich.console import Console
from speed import write_between_marks

_MIB = 2**20
_LARGE = 256 * _MIB
_HEAD = (
    "| environment | copies | KiB per observation | steps / CPU s | written, GiB / s | a fill of this size, GiB / s | "
    "share of it | share of a fill of 256 MiB |"
)


def fill_rate(size: int, seconds: float) -> float:
    """Bytes per CPU second at which an array of a size is filled."""
    room = np.zeros(max(size // 8, 1))
    room.fill(1.0)
    calls, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        room.fill(float(calls))
        calls += 1
    return calls * room.nbytes / (time.process_time() - began)


class Played:
    """A batch that is stepped at random."""

    def __init__(self, env_id: str, copies: int) -> None:
        self.env_id, self.copies = env_id, copies
        self._env = gymnasium.make_vec(env_id, num_envs=copies, on_illegal="raise", threads=1)
        self._rng = np.random.default_rng(0)
        observation, info = self._env.reset(seed=0)
        self._mask: NDArray[Any] = info["action_mask"]
        self.bytes = sum(array.nbytes for array in observation.values()) // copies
        self.measure(0.2)  # compiles, and leaves the beginning

    def measure(self, seconds: float) -> float:
        """Steps per CPU second."""
        spent, steps = 0.0, 0
        while spent < seconds:
            drawn = self._rng.random(self._mask.shape, dtype=np.float32)
            actions = (drawn * (self._mask > 0)).argmax(axis=1)
            began = time.process_time()
            _, _, _, _, info = self._env.step(actions)
            spent += time.process_time() - began
            self._mask = info["action_mask"]
            steps += self.copies
        return steps / spent


def main(copies: int = 256, seconds: float = 1.0, rounds: int = 3, write: Path | None = None) -> None:
    """Measure, print, and write the table where asked to.

    Args:
        copies: of each batch.
        seconds: CPU seconds of a measurement.
        rounds: how often all are measured, in turn.
        write: a page with the marks ``bandwidth:begin`` and ``bandwidth:end``.
    """
    console = Console()
    with console.status("compiling and beginning"):
        played = [Played(env_id, copies) for env_id in contract_ids() if env_id.startswith("makespan/")]
    found: dict[str, list[tuple[float, float, float]]] = {each.env_id: [] for each in played}
    for number in range(rounds):
        for each in played:
            with console.status(f"round {number + 1} of {rounds}: {each.env_id}"):
                size = each.bytes * copies
                rates = (each.measure(seconds), fill_rate(size, seconds / 4), fill_rate(_LARGE, seconds / 4))
                found[each.env_id].append(rates)
    lines = [_HEAD, "|---|" + "---:|" * 7]
    for each in played:
        steps, near, far = (median(column) for column in zip(*found[each.env_id], strict=True))
        written = steps * each.bytes
        lines.append(
            f"| `{each.env_id}` | {copies} | {each.bytes / 1024:.1f} | {steps:,.0f} | {written / 2**30:.2f} | "
            f"{near / 2**30:.1f} | {written / near:.0%} | {written / far:.0%} |"
        )
    machine = platform.processor() or platform.machine()
    lines += ["", f"{machine}, Python {platform.python_version()}, numpy {np.__version__}; one thread."]
    text = "\n".join(lines)
    console.print(text, markup=False, soft_wrap=True)
    if write is not None:
        write_between_marks(write, text + "\n", "bandwidth")


if __name__ == "__main__":
    tyro.cli(main)
