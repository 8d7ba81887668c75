"""What the cards of the shipped checkpoints say is what their commands bring anew."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import makespan
import pytest
from makespan.cli.main import main
from makespan.eval.publish import summarise

CHECKPOINTS = Path(makespan.__file__).resolve().parent / "checkpoints"
SHORT = ("job_shop_scorer", "memory_mapping_scorer")
"""Checkpoints of which the default run plays the first entry."""


class Entry(NamedTuple):
    """One choice of options in a card, and the agents of the checkpoint that it tells of."""

    checkpoint: str
    number: int
    content: dict[str, Any]
    agents: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """The command for these agents and options alone."""
        given = shlex.split(self.content["command"])
        options = "".join(f":{name}={value}" for name, value in self.content["env_options"].items())
        words = ["evaluate", self.content["env"] + options, "--agents", ",".join(self.agents)]
        for name in ("--instances", "--seeds"):
            words += [name, given[given.index(name) + 1]] if name in given else []
        return words

    def __str__(self) -> str:
        return f"{self.checkpoint}-{self.number}"


def entries() -> list[Entry]:
    """Of all shipped cards; agents that play for a time would be others on another machine."""
    found = []
    for path in sorted(CHECKPOINTS.glob("*/card.json")):
        name = path.parent.name
        for number, content in enumerate(json.loads(path.read_text("utf-8"))["results"]):
            of = f"checkpoints/{name}"
            mine = (agent for agent in content["agents"] if agent == of or agent.startswith(f"{of}:"))
            agents = tuple(agent for agent in mine if "time=" not in agent)
            if agents:
                found.append(Entry(name, number, content, agents))
    return found


def check(entry: Entry, folder: Path) -> None:
    assert main([*entry.words, "--out", str(folder)]) == 0
    (again,) = summarise(folder)
    for name in ("env", "worlds", "test_set_sha256"):
        assert again[name] == entry.content[name]
    for agent in entry.agents:
        told, found = entry.content["agents"][agent]["objective"], again["agents"][agent]["objective"]
        print(f"{entry}, {agent}: {told['mean']:.6g} in the card, {found['mean']:.6g} now")
        assert told["low"] <= found["mean"] <= told["high"], agent


@pytest.mark.parametrize("name", SHORT)
def test_a_card_is_reproduced(tmp_path: Path, name: str) -> None:
    entry = next(entry for entry in entries() if entry.checkpoint == name)
    if name.startswith("memory"):
        entry = entry._replace(agents=entry.agents[:1])
    check(entry, tmp_path / "again")


def test_every_environment_has_a_card_that_can_be_reproduced() -> None:
    of = {entry.content["env"].split("/")[1].split("-v")[0] for entry in entries()}
    assert of >= {"JobShop", "MemoryMapping", "SocDag", "StaticDag", "AirMobility", "RestlessBandits"}


def test_every_card_tells_of_its_own_checkpoint() -> None:
    """By the name that it ships under: nobody else has the folder of the run that it came from."""
    assert {entry.checkpoint for entry in entries()} == {path.parent.name for path in CHECKPOINTS.glob("*/card.json")}


@pytest.mark.slow
@pytest.mark.parametrize("entry", entries(), ids=str)
def test_all_cards_are_reproduced(tmp_path: Path, entry: Entry) -> None:
    check(entry, tmp_path / "again")
