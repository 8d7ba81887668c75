"""How scores become choices: greedily and by sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from makespan.agents.arena import Case, Episode, open_arena, play
from makespan.agents.decoding import BATCH, PolicyAgent, legal_scores
from makespan.agents.learned import build
from makespan.agents.networks.common import SlotNetwork, Tensors
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.observation import SPEC

JOB_SHOP = "makespan/JobShop-v0"


def network(kind: str = "graph", seed: int = 0) -> SlotNetwork:
    torch.manual_seed(seed)
    made = build({"kind": kind, "width": 8, "layers": 1}, SPEC)
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(0.0, 0.3)
    return made


def episodes(agent_of: Any, worlds: int, tries: int = 1, **options: Any) -> list[Episode]:
    arena = open_arena(JOB_SHOP, worlds * tries, {"instance": "random:size=4x3", **options}, device="cpu")
    return play(arena, agent_of(arena.setting), [Case(None, seed) for seed in range(worlds)])


class Fixed(SlotNetwork):
    """Scores slot a of every state with a fixed number."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__(SPEC)
        self.scores = torch.nn.Parameter(torch.tensor(scores))
        self.batches: list[int] = []

    def forward(self, observation: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        batch = len(observation["action_mask"])
        self.batches.append(batch)
        return self.scores.expand(batch, -1), torch.zeros(batch)


def test_scores_are_log_probabilities_of_the_legal_slots_alone() -> None:
    mask = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], dtype=np.int8)
    scores = legal_scores(Fixed([0.0, 5.0, 1.0]), {"action_mask": mask}, mask)
    assert np.array_equal(np.isfinite(scores), mask.astype(bool))
    assert np.exp(scores[0, [0, 2]]).sum() == pytest.approx(1.0)
    assert scores[0, 2] - scores[0, 0] == pytest.approx(1.0)
    assert scores[2, 1] == 0.0


def test_a_network_that_computes_what_is_no_number_is_refused() -> None:
    """Of finite weights: it would choose the first slot, legal or not."""
    mask = np.array([[0, 1, 1], [0, 0, 0]], dtype=np.int8)
    network = Fixed([0.0, 5.0, 3e38])
    with torch.no_grad():
        network.scores.mul_(10.0)
    with pytest.raises(UserError, match="scores are no numbers: its largest weight, inf, is"):
        legal_scores(network, {"action_mask": mask}, mask)


def test_scores_are_worked_out_on_one_thread() -> None:
    """Whoever set more for something else keeps them."""
    mask = np.ones((1, 3), dtype=np.int8)
    seen = []

    class Watching(Fixed):
        def forward(self, observation: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
            seen.append(torch.get_num_threads())
            return super().forward(observation)

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        legal_scores(Watching([0.0, 5.0, 1.0]), {"action_mask": mask}, mask)
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["graph", "attention"])
def test_scores_do_not_depend_on_the_company(kind: str) -> None:
    """Bit for bit, at one size of the batch and one place in it: neither on who the others are nor on their ends."""
    torch.set_num_threads(1)
    arena, made = open_arena(JOB_SHOP, 24, {"instance": "random:size=4x3"}, device="cpu"), network(kind)
    rng = np.random.default_rng(0)
    stay = np.arange(24) % 3 == 0
    known = None
    for _ in range(6):
        arena.reset([Case(None, copy if stay[copy] else int(rng.integers(10**9))) for copy in range(24)])
        for _ in range(3):
            arena.step(arena.masks().argmax(axis=1))
        mask = arena.masks().copy()
        mask[~stay & (rng.random(24) < 0.5)] = 0
        scores = legal_scores(made, arena.observation(), mask)
        known = scores[stay] if known is None else known
        assert np.array_equal(scores[stay], known)
        assert np.array_equal(np.isfinite(scores), mask.astype(np.bool_))


def test_large_observations_come_in_smaller_batches() -> None:
    mask = np.ones((1100, 2), dtype=np.int8)
    few = Fixed([0.0, 1.0])
    legal_scores(few, {"action_mask": mask, "node_mask/x": np.ones((1100, 100), dtype=np.int8)}, mask)
    assert max(few.batches) == BATCH
    many = Fixed([0.0, 1.0])
    scores = legal_scores(many, {"action_mask": mask, "node_mask/x": np.ones((1100, 2000), dtype=np.int8)}, mask)
    assert max(many.batches) == 33
    assert np.isfinite(scores).all()


def test_greedy_takes_the_best_legal_slot() -> None:
    mask = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 0]], dtype=np.int8)
    agent = PolicyAgent("x", Fixed([0.0, 5.0, 1.0]))
    agent.begin(np.arange(3), ["", "", ""], np.zeros(3, dtype=np.uint64), None)
    assert agent.act({"action_mask": mask}, mask)[:2].tolist() == [1, 2]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_sampling_follows_the_policy(temperature: float) -> None:
    n = 20_000
    mask = np.tile(np.array([[1, 1, 0, 1]], dtype=np.int8), (n, 1))
    logits = np.array([0.0, 1.0, 9.0, -1.0])
    agent = PolicyAgent("x", Fixed(logits.tolist()), temperature)
    agent.begin(np.arange(n), [""] * n, np.arange(n, dtype=np.uint64), None)
    weights = np.exp(logits / temperature) * mask[0]
    expected = weights / weights.sum()
    for _ in range(2):  # the second choice of each copy as well as the first
        shares = np.bincount(agent.act({"action_mask": mask}, mask), minlength=4) / n
        assert np.abs(shares - expected).max() < 4 * np.sqrt(0.25 / n)
        assert shares[2] == 0


def test_samples_depend_on_the_key_alone() -> None:
    """Not on the place in the batch, nor on what others do, nor on what the copy played before."""
    mask = np.ones((6, 4), dtype=np.int8)
    agent = PolicyAgent("x", Fixed([0.0, 0.1, 0.2, 0.3]), 1.0)

    def choices(keys: list[int], steps: int) -> np.ndarray:
        agent.begin(np.arange(len(keys)), [""] * len(keys), np.array(keys, dtype=np.uint64), None)
        few = mask[: len(keys)]
        return np.stack([agent.act({"action_mask": few}, few) for _ in range(steps)], axis=1)

    whole = choices([1, 2, 3, 4, 5, 2**64 - 1], 30)
    assert np.array_equal(choices([5, 2**64 - 1, 1], 30), whole[[4, 5, 0]])
    assert len({tuple(row) for row in whole.tolist()}) == 6
    choices([1, 2, 3, 4, 5, 6], 7)
    agent.begin(np.array([2]), [""], np.array([4], dtype=np.uint64), None)  # one copy begins again among the others
    again = np.stack([agent.act({"action_mask": mask}, mask)[2] for _ in range(30)])
    assert np.array_equal(again, whole[3])


def test_best_of_samples_is_the_minimum_of_its_tries() -> None:
    def by(samples: int) -> list[float]:
        return [
            episode.objective for episode in episodes(lambda _: PolicyAgent("x", network(), 1.0, samples), 4, samples)
        ]

    one, eight, sixteen = by(1), by(8), by(16)
    assert all(b <= a for a, b in zip(one, eight, strict=True))
    assert all(b <= a for a, b in zip(eight, sixteen, strict=True))
    assert sum(sixteen) < sum(one)


def test_play_is_the_same_again_and_alone() -> None:
    def objectives(worlds: int) -> list[float]:
        made = episodes(lambda _: PolicyAgent("x", network(), 1.0), worlds, law="bernoulli", p=0.01)
        return [episode.objective for episode in made]

    assert objectives(5) == objectives(5)
    assert objectives(5)[:1] == objectives(1)
