"""Games worked by hand, played by the reference game and checked by the validator and the judges."""

from __future__ import annotations

import pytest
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.validity import validate
from support.memory_game import ReferenceGame
from support.memory_hand_games import HAND_GAMES, HandGame


@pytest.mark.parametrize("hand", HAND_GAMES, ids=lambda hand: hand.name)
def test_the_reference_game_and_the_judges_agree_with_the_hand(hand: HandGame) -> None:
    game = ReferenceGame(hand.instance, hand.supply, hand.gaps)
    total = 0
    for step, action in enumerate(hand.actions):
        if step in hand.legal:
            assert tuple(a for a, legal in enumerate(game.legal()) if legal) == hand.legal[step], step
        total += game.step(action)
    assert game.done
    assert game.backups == hand.backups
    plan = game.plan()
    assert plan.placements == hand.placements
    assert validate(plan) == []
    times = run_times(plan)
    assert (times.all_hbm_ps, times.proxy_ps, times.judged_ps, times.shared_ps) == (
        hand.all_hbm,
        hand.proxy,
        hand.judged,
        hand.shared,
    )
    assert -total * hand.all_hbm == hand.proxy


def test_a_dead_end_may_end_the_game() -> None:
    (hand,) = [hand for hand in HAND_GAMES if hand.backups]
    game = ReferenceGame(hand.instance, backup=False)
    rewards = [game.step(action) for action in hand.actions[:3]]
    assert game.stuck
    assert game.done
    assert sum(rewards) == -2
