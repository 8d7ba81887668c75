"""Nobody who chooses is handed the hidden future: not by instances, not by imagined worlds, not by the setting."""

from collections.abc import Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import pytest
from makespan.agents.agent import Agent, Setting
from makespan.agents.arena import Case, open_arena, play
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.instance import JobShopInstance
from numba.core.dispatcher import Dispatcher

JOB_SHOP = "makespan/JobShop-v0"
CODE = type, ModuleType, FunctionType, Dispatcher  # a compiled function is one, too
FIRST, SECOND, LATER = (4, 1_000_003), (2_000_029, 2_500_039), (7_000_033, 7_600_013)
SEED = 987_654_321_987


def shop(name: str) -> JobShopInstance:
    times = [[6, 11, 90], [16, 5, 80], [12, 13, 70], [9, 7, 8]]
    windows = ([FIRST, SECOND, LATER], [], [LATER])
    return JobShopInstance.from_routes(name, times, [[0, 1, 2], [1, 0, 2], [2, 0, 1], [1, 2, 0]], windows=windows)


OPTIONS = {"law": "windows", "blocking": "none", "instance": [shop("one"), shop("two")]}


def reachable(root: object) -> Iterator[object]:
    """Whatever attributes, items, entries of arrays and owners of methods lead to; not what functions close over."""
    seen: set[int] = set()
    waiting = [root]
    kept = []  # alive, so that no number of an object is used again
    while waiting:
        found = waiting.pop()
        kept.append(found)
        if id(found) in seen or isinstance(found, CODE):
            continue
        seen.add(id(found))
        yield found
        if isinstance(found, np.ndarray):
            waiting += [int(value) for value in found.ravel()] if found.dtype.kind in "iu" else []
        elif isinstance(found, MethodType):
            waiting.append(found.__self__)
        elif isinstance(found, dict):
            waiting += found.values()
        elif isinstance(found, list | tuple | set | frozenset):
            waiting += found
        else:
            waiting += list(getattr(found, "__dict__", {}).values())
            waiting += [getattr(found, name, None) for name in getattr(type(found), "__slots__", ())]


def dates(root: object) -> set[int]:
    """The ends and the lengths of windows that can be reached."""
    telling = {value for begin, end in (SECOND, LATER) for value in (begin, end, end - begin)}
    telling |= {FIRST[1], FIRST[1] - FIRST[0]}
    return {found for found in reachable(root) if isinstance(found, int) and found in telling}


def tells_seed(root: object) -> bool:
    """Whether the seed can be reached, as a number or in a text."""
    return any(
        found == SEED if isinstance(found, int) else isinstance(found, str) and str(SEED) in found
        for found in reachable(root)
    )


class Spy(Agent):
    """Plays the first legal action and searches all that it is handed."""

    name = "spy"
    reads_instances = True

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.handed: list[Any] = []
        self.found: list[set[int]] = []
        self.told: list[bool] = []

    def begin(self, copies: Any, instances: Any, keys: Any, imagine: Any) -> None:
        self.handed = [instances, imagine]
        self._imagine = imagine
        self.copies = copies
        self.keys = keys

    def act(self, observation: Any, mask: Any) -> Any:
        imagined = self._imagine(self.copies, self.keys)
        again = imagined.imagine(self.copies, self.keys)
        names = [imagined.instance_name(copy) for copy in self.copies]
        shown = [engine.instance(copy) for engine in (imagined, again) for copy in self.copies]
        at_hand = [self.setting, *self.handed, observation, mask, imagined, again, names, shown]
        self.found.append(dates(at_hand))
        self.told.append(tells_seed(at_hand))
        return mask.argmax(axis=1)


def spy_on(**options: Any) -> list[set[int]]:
    """What a spy finds at each decision."""
    arena = open_arena(JOB_SHOP, 2, {**OPTIONS, **options})
    spy = Spy(arena.setting)
    episodes = play(arena, spy, [Case(None, 0)] * 2)
    assert all(episode.instance_data.windows[0] == (FIRST, SECOND, LATER) for episode in episodes)
    return spy.found


def test_windows_that_nobody_has_announced_cannot_be_reached() -> None:
    found = spy_on(repair_visible=False)
    assert found[:4] == [set()] * 4  # the fourth decision falls into the first window
    assert any(FIRST[1] in dates for dates in found)  # which is past in the end


def test_of_windows_that_have_begun_only_the_past_and_the_announced_can_be_reached() -> None:
    found = spy_on()
    later = {*LATER, LATER[1] - LATER[0]}
    assert not any(dates & later for dates in found)
    assert any(FIRST[1] in dates for dates in found)  # a repair under way is announced


def test_announced_windows_are_no_secret() -> None:
    assert set(LATER) <= spy_on(known_windows=True)[0]


def test_instances_that_come_later_are_no_leak() -> None:
    arena = open_arena(JOB_SHOP, 2, OPTIONS)
    spy = Spy(arena.setting)
    play(arena, spy, [Case(shop("three"), 0), Case(shop("four"), 0)])
    assert spy.found[0] == set()
    play(arena, spy, [Case(shop("five"), 0), Case("one", 0)])
    assert not spy.found[-1] & {*LATER}


STOCHASTIC = [
    (JOB_SHOP, {"law": "bernoulli", "instance": "random:size=3x2:count=2"}),
    (JOB_SHOP, {"law": "bernoulli", "instance": "random:size=3x2"}),
    ("makespan/SocDag-v0", {"noise": 0.2}),
    ("makespan/AirMobility-v0", {}),
    ("makespan/RestlessBandits-v0", {}),
]


@pytest.mark.parametrize(("env_id", "options"), STOCHASTIC)
def test_the_seed_of_the_hidden_draws_cannot_be_reached(env_id: str, options: dict[str, Any]) -> None:
    arena = open_arena(env_id, 2, options)
    spy = Spy(arena.setting)
    arena.reset([Case(None, SEED)] * 2)
    spy.begin(np.arange(2), arena.instances(), np.array([1, 2], dtype=np.uint64), arena.imagine())
    for _ in range(3):
        arena.step(spy.act(arena.observation(), arena.masks()))
    assert spy.told == [False] * 3
    assert tells_seed(arena), "the search finds it where it is"


@pytest.mark.parametrize(("env_id", "options"), STOCHASTIC)
def test_imagined_copies_cannot_be_reset(env_id: str, options: dict[str, Any]) -> None:
    arena = open_arena(env_id, 2, options)
    arena.reset([Case(None, SEED)] * 2)
    look = arena.imagine()
    assert look is not None
    imagined = look(np.arange(2), np.array([1, 2], dtype=np.uint64))
    for engine in (imagined, imagined.imagine([1, 0], [1, 2])):
        assert (engine.seeds < 0).all()
        before = engine.snapshot().arrays
        with pytest.raises(UserError, match="reset of copy 0, which is imagined, expected"):
            engine.reset(engine.seeds)
        with pytest.raises(UserError, match="reset of copy 1, which is imagined"):
            engine.reset([SEED], copies=np.array([1]))
        assert all(np.array_equal(*pair) for pair in zip(before, engine.snapshot().arrays, strict=True))


def test_an_imagined_shop_made_from_the_seed_is_the_one_at_hand() -> None:
    arena = open_arena(JOB_SHOP, 3, {"law": "bernoulli", "instance": "random:size=4x3+3x2"})
    arena.reset([Case(None, seed) for seed in (3, 4, SEED)])
    engine, look = arena.engine, arena.imagine()
    assert engine is not None
    assert look is not None
    imagined = look(np.array([2, 0, 1]), np.zeros(3, dtype=np.uint64)).imagine([1, 0, 0], [1, 2, 3])
    imagined.copy([1], [2])
    for copy, origin in enumerate((0, 2, 2)):
        assert imagined.instance(copy).same_as(engine.instance(origin))
        assert imagined.known_instance(copy).name == engine.known_instance(origin).name
    assert len({instance.name for instance in arena.instances()}) == 3


@pytest.mark.parametrize("name", ["mwkr", "random"])
def test_what_plays_in_compiled_code_is_handed_no_engine(name: str) -> None:
    from makespan.agents.catalogue import make_agent

    arena = open_arena(JOB_SHOP, 2, OPTIONS)
    agent = make_agent(name, arena.setting)
    play(arena, agent, [Case(None, 0)] * 2)
    assert dates(agent) == set()
    assert not hasattr(agent, "finish")
