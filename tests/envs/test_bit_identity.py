"""Under given actions every environment shows the same, bit for bit, whatever it is played in: alone or in a batch, by
any number of threads, at either door, after a detour and a snapshot, under any version of Python.

What each environment's golden hashes say of time, this says of place.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from makespan.envs.registry import contract_ids
from support import trace_hashes
from support.trace_hashes import CASES, SEEDS, engine_maker, of_engine, of_single, shown
from support.trajectories import pick, traces

CASE = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
Case = tuple[str, dict[str, Any]]


def test_every_environment_takes_part() -> None:
    assert {env_id for env_id, _ in CASES.values()} == {one for one in contract_ids() if one.startswith("makespan/")}


@CASE
def test_batch_threads_order_and_detours(case: Case) -> None:
    env_id, options = case
    together = of_engine(env_id, options)
    assert len(set(together)) == len(SEEDS)
    assert of_engine(env_id, options, threads=2) == together
    assert of_engine(env_id, options, disturb=True) == together, "after a detour and back to a snapshot"
    many = traces(engine_maker(env_id), options, [*range(500, 514), *SEEDS[::-1]], threads=2)
    alone = [traces(engine_maker(env_id), options, [seed])[0] for seed in SEEDS]
    assert many[:-4:-1] == alone
    assert [hashlib.sha256(trace).hexdigest()[:16] for trace in alone] == together


@CASE
def test_both_doors(case: Case) -> None:
    env_id, options = case
    many: Any = gymnasium.make_vec(env_id, num_envs=len(SEEDS), **options)
    observation, info = many.reset(seed=list(SEEDS))
    digests, ended = [hashlib.sha256() for _ in SEEDS], np.zeros(len(SEEDS), dtype=bool)
    step, found = 0, [""] * len(SEEDS)
    while not ended.all():
        for copy in np.flatnonzero(~ended):
            digests[copy].update(shown({key: value[copy] for key, value in observation.items()}))
        actions = [pick(seed, step, mask) for seed, mask in zip(SEEDS, observation["action_mask"], strict=True)]
        observation, reward, terminated, truncated, info = many.step(np.array(actions))
        for copy in np.flatnonzero(~ended):
            told = (float(reward[copy]), bool(terminated[copy]), bool(truncated[copy]), float(info["elapsed"][copy]))
            digests[copy].update(repr(told).encode())
            if terminated[copy] or truncated[copy]:
                final = info["final_info"]
                metrics = {key: plain(value[copy]) for key, value in final["metrics"].items() if key[0] != "_"}
                digests[copy].update(shown(info["final_obs"][copy]) + repr(plain(final["objective"][copy])).encode())
                digests[copy].update(repr(sorted(metrics.items())).encode())
                found[copy], ended[copy] = digests[copy].hexdigest()[:16], True
        step += 1
    many.close()
    assert found == [of_single(env_id, options, seed) for seed in SEEDS]


def plain(value: Any) -> Any:
    """What NumPy wraps, unwrapped."""
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.slow
def test_versions_of_python(tmp_path: Path) -> None:
    """MAKESPAN_PYTHONS names interpreters by commas, each with NumPy, Numba, Gymnasium and the rest of the core."""
    interpreters = [one for one in os.environ.get("MAKESPAN_PYTHONS", "").split(",") if one]
    if not interpreters:
        pytest.skip("MAKESPAN_PYTHONS names no interpreters")
    link = tmp_path / "makespan"
    link.symlink_to(Path(str(trace_hashes.makespan.__file__)).parent)
    expected = trace_hashes.all_hashes()
    for interpreter in interpreters:
        done = subprocess.run(
            [interpreter, trace_hashes.__file__],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == expected, interpreter
        print(f"{interpreter}: the same as {sys.version.split()[0]}")
