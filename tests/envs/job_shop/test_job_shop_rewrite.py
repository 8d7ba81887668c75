"""What a step rewrites of an observation equals a rewrite from scratch, whatever happened."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.envs.job_shop import engine as engine_module
from makespan.envs.job_shop.env import make_engine
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.moves import survey

FAMILY = "random:size=6x6+10x5+4x7"
REVISITS = JobShopInstance.from_routes(
    "revisits",
    [[2, 0, 3, 1], [3, 1, 0], [0, 4, 2, 2, 1]],
    [[0, 0, 1, 0], [1, 0, 1], [2, 1, 1, 2, 0]],
    3,
    [[(1, 3), (5, 6)], [(2, 4)], []],
)

CASES = [
    {"blocking": "swap"},
    {"blocking": "no-swap"},
    {"blocking": "none", "mode": "construct"},
    {"blocking": "no-swap", "deadlock": "banker", "law": "bernoulli", "p": 0.01},
    {"law": "bernoulli", "p": 0.01, "on_breakdown": "scrap"},
    {"law": "exponential", "mtbf": 60.0, "clock": "busy", "unload_when_down": False, "repair_visible": False},
    {"instance": REVISITS, "law": "windows", "known_windows": True, "on_breakdown": "repeat"},
    {"instance": REVISITS, "law": "windows", "on_breakdown": "scrap", "blocking": "none"},
]


@pytest.mark.parametrize("options", CASES, ids=lambda case: "-".join(str(value) for value in case.values())[:60])
def test_rewriting_what_changed_equals_rewriting_everything(options):
    copies = 8
    engine = make_engine(copies, **{"instance": FAMILY, **options})
    engine.reset(np.arange(copies))
    random = np.random.default_rng(3)
    next_seed = copies
    ended = np.zeros(0, dtype=np.int64)
    for _ in range(150):
        # Any legal action, WAIT included, each as likely as the others.
        engine.step((engine.masks * (random.random(engine.masks.shape) + 0.01)).argmax(axis=1))
        written = engine.block.memory.copy()
        engine._write_all()
        differing = [key for key, view in engine.block.views.items() if not _same(engine, view, written, key)]
        assert not differing
        ended = np.flatnonzero(~engine.is_running())
        if len(ended):
            engine.reset(next_seed + np.arange(len(ended)), copies=ended)
            next_seed += len(ended)
    assert next_seed > copies, "no episode ended"


def _same(engine, view, written, key):
    begin = engine.layout.positions[key]
    size = view[0].nbytes
    return np.array_equal(engine.block.memory[:, begin : begin + size], written[:, begin : begin + size])


@pytest.mark.parametrize("options", CASES, ids=lambda case: "-".join(str(value) for value in case.values())[:60])
def test_the_sums_over_jobs_and_machines_are_those_of_a_new_survey(options):
    engine = make_engine(8, **{"instance": FAMILY, **options})
    engine.reset(np.arange(8))
    random = np.random.default_rng(4)
    for step in range(150):
        engine.step((engine.masks * (random.random(engine.masks.shape) + 0.01)).argmax(axis=1))
        kept = engine.state.clock.copy()
        for copy in range(8):
            survey(engine.problem, engine.state, copy)
        np.testing.assert_array_equal(engine.state.clock, kept)
        ended = np.flatnonzero(~engine.is_running())
        engine.reset(8 + 8 * step + ended, copies=ended)


def test_asking_for_the_next_copy_ahead_changes_nothing(monkeypatch):
    engines = [make_engine(8, instance=FAMILY)]
    monkeypatch.setattr(engine_module, "_CACHE_BYTES", 0)
    engines.append(make_engine(8, instance=FAMILY))
    assert [int(engine._stepping.ahead[0] > 0) for engine in engines] == [0, 1]
    for engine in engines:
        engine.reset(np.arange(8))
        for _ in range(60):
            engine.step(engine.masks.argmax(axis=1))
    for mine, theirs in zip(engines[0].snapshot().arrays, engines[1].snapshot().arrays, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_piece_lost_in_its_first_operation_has_no_remaining_time():
    instance = JobShopInstance.from_routes("lost", [[5]], [[0]], 1, [[(2, 4)]])
    engine = make_engine(1, instance=instance, law="windows", on_breakdown="scrap")
    engine.reset([0])
    engine.step([0])
    assert engine.metrics(0)["lost_pieces"] == 1
    names = [feature.name for feature in engine.spec.nodes[0].features]
    assert engine.block.views["nodes/operation"][0, 0, names.index("remaining_time")] == 0.0
