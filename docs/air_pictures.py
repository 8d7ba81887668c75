"""Pictures of a day of air mobility, from an evaluation's folder.

``python docs/air_pictures.py results/air-day --out docs/images`` draws for the first instance and seed of the folder

* ``air_map.png``: the map at a time, as the last agent, a network's checkpoint, left it, and ``air_morning.gif``: the
  75 minutes of its day before that time;
* ``air_choice.png``: where it would send the next aircraft, with what probabilities, at the first decision from that
  time on that is not clear;
* ``air_profits.png``: the profit of every agent through the day, with a proved bound.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from makespan.agents.air_mobility.clairvoyant import tight_bound
from makespan.agents.decoding import legal_scores
from makespan.agents.learned import find_checkpoint, load_network
from makespan.envs.air_mobility.animation import save_animation
from makespan.envs.air_mobility.engine import AirEngine
from makespan.envs.air_mobility.env import make_engine
from makespan.envs.air_mobility.map_picture import draw_choice, draw_map
from makespan.envs.air_mobility.picture import draw_profits
from makespan.envs.air_mobility.schedule import TIME, TO, AirSchedule
from makespan.envs.air_mobility.state import DECIDER
from makespan.eval.pictures import save
from makespan.eval.show import read_schedule
from numpy.typing import NDArray

_CLEAR = 0.45


def days(folder: Path) -> dict[str, AirSchedule]:
    """By the agents' names: their days of the folder's first instance and seed."""
    rows: list[dict[str, Any]] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    first = (rows[0]["instance"], rows[0]["seed"])
    return {
        row["agent"]: AirSchedule.from_dict(read_schedule(folder, row))
        for row in rows
        if (row["instance"], row["seed"]) == first
    }


def unclear_choice(agent: str, day: AirSchedule, time: int) -> tuple[AirEngine, NDArray[np.float64]]:
    """The engine at a decision of the agent's own day, and the probabilities of its actions."""
    engine = make_engine(1, day.instance, record=True)
    network = load_network(find_checkpoint(agent), engine.spec)[0]
    engine.reset([day.day.seed])
    for row in day.decisions:
        if row[TIME] >= time:
            scores = legal_scores(network, engine.block.views, engine.masks)
            shares = np.exp(scores[0, : day.instance.num_vertiports].astype(np.float64))
            if shares.max() < _CLEAR:
                return engine, shares / shares.sum()
        engine.step([int(row[TO])])
    raise SystemExit(f"{agent} is sure of all its decisions")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hour", type=float, default=8.5, help="of the map and the choice")
    parser.add_argument("--rounds", type=int, default=1, help="of inequalities that tighten the bound")
    given = parser.parse_args()
    played = days(given.folder)
    agent = next(reversed(played))
    day, time = played[agent], round(3600 * (given.hour - 6))
    save(draw_map(day, time), given.out / "air_map.png")
    save_animation(day, given.out / "air_morning.gif", time - 4500, time, frames_per_second=8)
    engine, shares = unclear_choice(agent, day, time)
    save(draw_choice(engine.schedule(0), int(engine.state.clock[0, DECIDER]), shares), given.out / "air_choice.png")
    bound = tight_bound(day.instance, day.day, rounds=given.rounds)
    save(draw_profits(played, bound), given.out / "air_profits.png")


if __name__ == "__main__":
    main()
