"""``makespan optimise``: searches one instance, prints what improves, keeps the best in a folder."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from ..eval.optimise import Solution, make_task, optimise
from ..eval.solution_folder import SolutionFolder, result_data
from ..eval.statistics import full

_QUIET_SECONDS = 1.0  # a bound that grows is worth a line so often


def run(
    instance: str | None,
    agent: str,
    seconds: float,
    out: str,
    env: str,
    start: str | None,
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Optimise.

    Args:
        instance: a name or a path; None: the environment makes one.
        agent: who searches.
        seconds: how long.
        out: the folder.
        env: the environment with its options.
        start: file of a start state, None for the instance's own.
        seed: of the agent's randomness.
        overwrite: whether another search in the folder may be replaced.
        as_json: print the result as JSON, and no progress.

    Raises:
        UserError: something given is wrong, no valid schedule was found, or the folder cannot be written.
        KeyboardInterrupt: the user stopped it; the best schedule so far is in the folder.
    """
    task = make_task(instance, agent, seconds, start, env, seed, {})
    words = ["makespan", "optimise", *([instance] if instance else []), "--env", env, "--agent", agent]
    words += [*(["--start", start] if start else []), "--seconds", f"{seconds:g}", "--seed", str(seed), "--out", out]
    with contextlib.closing(SolutionFolder(out, task, shlex.join(words), overwrite)) as folder, _terminable():
        if folder.before is not None and not as_json:
            print(f"Going on from objective {full(folder.before.objective)}.", flush=True)
        solution = optimise(task, _Progress(folder, not as_json), folder.before)
        folder.write(solution)
        remarks = folder.finish(solution)
    if as_json:
        print(json.dumps(result_data(solution), indent=1, allow_nan=False))
    else:
        for line in [_summary(solution), *remarks, f"Written to {out}."]:
            print(line)
    if solution.interrupted:
        raise KeyboardInterrupt(f"the best schedule so far is in {out!r}; the same command goes on from it")
    return 0


class _Progress:
    """Writes each better schedule into the folder, and tells of it."""

    def __init__(self, folder: SolutionFolder, printing: bool) -> None:
        self._folder, self._printing = folder, printing
        self._objective: float | None = None if folder.before is None else folder.before.objective
        self._told = 0.0

    def __call__(self, solution: Solution) -> None:
        better = solution.objective != self._objective
        if better:
            self._objective = solution.objective
            self._folder.write(solution)
        if self._printing and (better or time.monotonic() - self._told > _QUIET_SECONDS):
            self._told = time.monotonic()
            finder = solution.history[-1].agent if solution.history else ""
            print(f"{solution.seconds:8.2f} s  {_figures(solution)}  {finder}", flush=True)


def _figures(solution: Solution) -> str:
    bound = "no bound" if solution.bound is None else f"bound {full(solution.bound)}"
    gap = "" if solution.gap is None else f"  gap {100 * solution.gap:.1f} %"
    return f"objective {full(solution.objective)}  {bound}{gap}"


def _summary(solution: Solution) -> str:
    proof = "proved optimal" if solution.optimal else "not proved optimal"
    source = f" ({solution.bound_source})" if solution.bound_source else ""
    return f"{solution.instance or 'The instance'}: {_figures(solution)}{source}, {proof}, in {solution.seconds:g} s."


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let a request to terminate end the search as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
