"""What a cold start compiles: every function once, and for plain instances nothing of what couples arms."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

_COUNT = """
import collections, json, sys
import numba.core.event as event
counts = collections.Counter()

class Listener(event.Listener):
    def on_start(self, e):
        function = e.data["dispatcher"].py_func
        if "restless_bandits" in (function.__module__ or ""):  # functions made by `exec` have none
            counts[function.__qualname__] += 1

    def on_end(self, e):
        pass

event.register("numba:compile", Listener())
import gymnasium, makespan
env = gymnasium.make("makespan/RestlessBandits-v0", instance=sys.argv[1])
_, info = env.reset(seed=0)
env.step(int(info["action_mask"].argmax()))
print(json.dumps(counts))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["capacity-j20-0", "corridor-j20-0"])
def test_a_cold_start_compiles_every_function_once(name: str, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _COUNT, name],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MAKESPAN_CACHE": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    # `share` and `signed` clip numbers of several types.
    twice = {function for function, count in counts.items() if count > 1} - {"share", "signed"}
    assert not twice
    walks = {"add_stop", "mark_walks", "coupled", "joint_outlook", "mark_distinct", "visit"}
    assert "write_slot" in counts
    assert walks.isdisjoint(counts) == (name == "capacity-j20-0")
