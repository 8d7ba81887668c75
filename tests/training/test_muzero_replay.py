"""The memory of self-play: what is drawn from it is what happened, computed anew from the whole history."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import Case, EngineArena, open_arena
from makespan.training.muzero_replay import EngineStates, ObservedStates, Replay, Step

COPIES, SLOTS, UNROLL = 3, 4, 3


class History:
    """Random steps of a few copies, kept in full beside a replay."""

    def __init__(self, seed: int, moments: int, kept: int, bootstrap: int) -> None:
        rng = np.random.default_rng(seed)
        self.bootstrap = bootstrap
        self.first = max(moments - kept, 0)
        self.steps: list[Step] = []
        like = {"action_mask": np.ones((COPIES, SLOTS), dtype=np.int8), "when": np.zeros((COPIES, 1))}
        self.replay = Replay(ObservedStates(like, kept, COPIES), kept, COPIES, SLOTS, bootstrap)
        for moment in range(moments):
            ended, cut = rng.random((2, COPIES)) < 0.2
            terminated, truncated = ended & ~cut, ended & cut
            step = Step(
                rng.integers(0, SLOTS, COPIES),
                rng.normal(size=COPIES).astype(np.float32),
                np.where(terminated, 0.0, rng.uniform(0.5, 1.0, COPIES)).astype(np.float32),
                rng.random(COPIES) < 0.1,
                ended,
                np.where(truncated, rng.normal(size=COPIES), 0.0).astype(np.float32),
                rng.dirichlet(np.ones(SLOTS), COPIES).astype(np.float32),
                rng.normal(size=COPIES).astype(np.float32),
            )
            like["when"][:, 0] = 10 * moment + np.arange(COPIES)
            self.replay.states.put(self.replay.next_moment, like)
            self.replay.put(step)
            self.steps.append(step)

    def worth(self, moment: int, copy: int) -> float:
        """What a state turned out to be worth."""
        total, factor = 0.0, 1.0
        for ahead in range(self.bootstrap):
            step = self.steps[moment + ahead]
            if step.strays[copy]:
                return total + factor * step.values[copy]
            if not step.ended[copy] and moment + ahead + 1 == len(self.steps):
                return total + factor * step.values[copy]
            total += factor * step.rewards[copy]
            factor *= step.discounts[copy]
            if step.ended[copy]:
                return total + factor * step.tails[copy]
        return total + factor * self.steps[moment + self.bootstrap].values[copy]


@pytest.mark.parametrize("moments, kept, bootstrap", [(5, 12, 4), (40, 12, 4), (40, 12, 1), (30, 16, 20)])
def test_batches_are_what_happened(moments: int, kept: int, bootstrap: int) -> None:
    history = History(moments + bootstrap, moments, kept, bootstrap)
    batch = history.replay.sample(np.random.default_rng(0), 200, UNROLL)
    for place in range(200):
        when = int(batch.observation["when"][place, 0])
        moment, copy = divmod(when, 10)
        assert moment >= history.first
        after = int(batch.after[place])
        if after:
            assert batch.later["when"][place, 0] == when + 10 * after
            assert batch.lives[place, after]
        lives = True
        for k in range(UNROLL + 1):
            if lives and moment + k >= len(history.steps):  # nobody knows yet
                assert not batch.known[place, k:].any()
                break
            assert batch.lives[place, k] == lives
            assert batch.known[place, k]
            if not lives:
                assert batch.values[place, k] == 0
                continue
            step = history.steps[moment + k]
            np.testing.assert_array_equal(batch.policy[place, k], step.policy[copy])
            assert batch.values[place, k] == pytest.approx(history.worth(moment + k, copy), abs=1e-5)
            if k < UNROLL:
                assert batch.actions[place, k] == step.actions[copy]
                assert batch.rewards[place, k] == step.rewards[copy]
                assert batch.discounts[place, k] == step.discounts[copy]
                if step.ended[copy] and step.discounts[copy] > 0:  # cut: what follows was not seen
                    assert not batch.known[place, k + 1 :].any()
                    break
                lives = not step.ended[copy]


def test_the_later_state_is_any_that_the_actions_lead_to() -> None:
    batch = History(5, 40, 12, 4).replay.sample(np.random.default_rng(0), 400, UNROLL)
    assert set(batch.after) == set(range(UNROLL + 1))
    assert batch.after[batch.lives[:, 1:].all(axis=1)].min() > 0
    assert not History(5, 40, 12, 4).replay.sample(np.random.default_rng(0), 40, 0).after.any()


def test_reanalysis_replaces_what_a_search_said() -> None:
    history = History(1, 20, 12, 1)
    rows = history.replay.draw(np.random.default_rng(1), 1)
    policy = np.full((1, SLOTS), 0.25, dtype=np.float32)
    history.replay.renew(rows, policy, np.array([123.0]))
    batch = history.replay.sample(np.random.default_rng(2), 500, 0)
    chosen = batch.rows == rows[0]
    assert chosen.any()
    assert (batch.policy[chosen, 0] == 0.25).all()


def test_wrong_values_are_drawn_more_often() -> None:
    history = History(3, 12, 12, 4)
    every = np.arange(history.replay.size)
    history.replay.prioritise(every, np.where(every == 7, 5.0, 0.01).astype(np.float32))
    batch = history.replay.sample(np.random.default_rng(4), 300, 0)
    share = float((batch.rows == 7).mean())
    assert share > 3 / len(every)
    assert batch.weights[batch.rows == 7].max() < batch.weights[batch.rows != 7].min()


@pytest.mark.parametrize("options", [{}, {"law": "bernoulli", "p": 0.05}])
def test_engine_states_can_be_gone_on_from(options: dict[str, Any]) -> None:
    arena = open_arena("makespan/JobShop-v0", 3, {"instance": "random:size=4x3", **options}, device="cpu")
    assert isinstance(arena, EngineArena)
    arena.reset([Case(None, seed) for seed in range(3)])
    states = EngineStates(arena.engine, 6, {})
    seen = []
    for moment in range(6):
        states.put(moment, arena.observation())
        seen.append(arena.engine.block.memory.copy())
        arena.step(arena.masks().argmax(axis=1))
    rows = np.array([4 * 3 + 1, 2 * 3 + 0])
    again = states.imagine()(rows, np.zeros(2, dtype=np.uint64))
    np.testing.assert_array_equal(again.block.memory, np.stack([seen[4][1], seen[2][0]]))
    np.testing.assert_array_equal(again.masks, states.observation(rows)["action_mask"])
    again.step(again.masks.argmax(axis=1))
