"""Commands killed at random moments, as by ``kill -9``, and given again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .fuzzing import unwhole

_LONGEST = 300.0
_POLL = 0.005


@dataclass
class Killing:
    """What came of a command that was killed again and again.

    Attributes:
        kills: how often it was.
        reached: what `measure` said after each kill.
        ended: exit code of the run that nobody killed.
    """

    kills: int = 0
    reached: list[Any] = field(default_factory=list)
    ended: int | None = None
    said: str = ""


def command(words: Sequence[str]) -> list[str]:
    """A makespan command as a process."""
    return [sys.executable, "-m", "makespan.cli.main", *words]


def kill_again(
    words: Sequence[str],
    out: Path,
    kills: int,
    measure: Callable[[Path], Any],
    begun: Callable[[Path], bool],
    wait: float,
    rng: random.Random,
    patience: float = float("inf"),
    grow: float = 1.0,
) -> Killing:
    """Kill a command at random moments, give it again, and look into its folder each time.

    Args:
        words: the command, without the program's name.
        out: its folder.
        measure: what the folder holds; raises where something is not whole.
        begun: whether there is something that a kill may spoil; the moment is drawn from then on.
        wait: seconds that are waited at most, from then.
        patience: seconds after which the moment is drawn also where nothing was written: a search that finds nothing
            better writes nothing.
        grow: what `wait` is multiplied by whenever a kill came before anything more was stored, so that a command that
            is slow to begin gets on on any machine.
    """
    found = Killing()
    while found.kills < kills:
        before = _times(out)
        process = subprocess.Popen(command(words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + min(_LONGEST, patience)
        # Begun is a folder that this very process has written to.
        while process.poll() is None and not (begun(out) and _times(out) != before) and time.monotonic() < deadline:
            time.sleep(_POLL)
        time.sleep(rng.uniform(0.0, wait))
        ended = process.poll()
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        if ended is not None:
            found.ended, found.said = ended, errors
            return found
        found.kills += 1
        broken = [
            name for name in unwhole(out) if not name.endswith(".tmp")
        ]  # what was being written, which is no one's
        assert not broken, f"after kill {found.kills}: not whole: {broken}"
        found.reached.append(measure(out))
        if found.reached[-2:-1] == found.reached[-1:]:
            wait *= grow
    return found


def give_again(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The same command, to its end."""
    return subprocess.run(command(words), capture_output=True, text=True, timeout=_LONGEST, check=False)


def left_over(out: Path) -> list[str]:
    """What a finished command has left that is no one's: files that were being written when it was killed."""
    return unwhole(out)


def _times(folder: Path) -> Mapping[str, float]:
    """When what lies in a folder was written."""
    found: dict[str, float] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found[f"{place}/{name}"] = os.stat(os.path.join(place, name)).st_mtime_ns
            except FileNotFoundError:  # moved meanwhile
                continue
    return {name: when for name, when in found.items() if not name.endswith(".lock")}
