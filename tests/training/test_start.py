"""Training that begins with the weights of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.checkpoint import load_checkpoint
from makespan.envs.core.errors import UserError
from makespan.training.progress import Progress
from makespan.training.run import make_run, train

SHORT: dict[str, dict[str, Any]] = {
    "graph-ppo": {},
    "attention-ppo": {"algorithm": "self-label", "label_worlds": 2, "label_tries": 2},
    "scorer": {"evolve_directions": 2, "evolve_worlds": 2},
    "alphazero": {"encoder": "slots", "simulations": 2},
}


@pytest.mark.parametrize("agent", SHORT)
def test_a_run_begins_with_the_weights_that_it_is_given(agent: str, tiny: Any, tmp_path: Path) -> None:
    first = tiny(agent=agent, steps=64, out=str(tmp_path / "first"), **SHORT[agent])
    train(first)
    start = str(tmp_path / "first" / "last")
    config = tiny(agent=agent, steps=64, seed=5, start=start, out=str(tmp_path / "second"), **SHORT[agent])
    run = make_run(config, False, Progress(config, quiet=True))
    weights, _ = load_checkpoint(start)
    begun = run.weights()
    if agent == "scorer":  # a run's folder stands for its best checkpoint
        whole = tiny(agent=agent, steps=64, start=str(tmp_path / "first"), out=str(tmp_path / "third"), **SHORT[agent])
        best, _ = load_checkpoint(tmp_path / "first" / "best")
        found = make_run(whole, False, Progress(whole, quiet=True)).weights()
        assert all((found[name] == array).all() for name, array in best.items())
    assert begun.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(begun[name], array)


def test_a_checkpoint_of_another_network_is_refused_and_no_folder_is_claimed(tiny: Any, tmp_path: Path) -> None:
    train(tiny(agent="scorer", steps=64, out=str(tmp_path / "first"), **SHORT["scorer"]))
    config = tiny(steps=64, start=str(tmp_path / "first" / "last"), out=str(tmp_path / "second"))
    with pytest.raises(UserError, match=r"option start: network of .* is .*scorer.*, expected .*graph"):
        train(config)
    assert not (tmp_path / "second").exists()


def test_a_start_goes_with_no_foresight(tiny: Any) -> None:
    with pytest.raises(UserError, match="option start is 'x', expected nothing with foresight"):
        tiny(start="x", foresight="lrm")
