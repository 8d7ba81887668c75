"""Nobody who chooses is handed the hidden future: not by instances, not by imagined worlds, not by the setting."""

from collections.abc import Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import pytest
from makespan.agents.agent import Agent, Setting
from makespan.agents.arena import Case, open_arena, play
from makespan.envs.job_shop.instance import JobShopInstance
from numba.core.dispatcher import Dispatcher

JOB_SHOP = "makespan/JobShop-v0"
CODE = type, ModuleType, FunctionType, Dispatcher  # a compiled function is one, too
FIRST, SECOND, LATER = (4, 1_000_003), (2_000_029, 2_500_039), (7_000_033, 7_600_013)


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


class Spy(Agent):
    """Plays the first legal action and searches all that it is handed."""

    name = "spy"
    reads_instances = True

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.handed: list[Any] = []
        self.found: list[set[int]] = []

    def begin(self, copies: Any, instances: Any, keys: Any, imagine: Any) -> None:
        self.handed = [instances, imagine]
        self._imagine = imagine
        self.copies = copies
        self.keys = keys

    def act(self, observation: Any, mask: Any) -> Any:
        imagined = self._imagine(self.copies, self.keys)
        again = imagined.imagine(self.copies, self.keys)
        names = [imagined.instance(copy) for copy in range(len(self.copies))]
        self.found.append(dates([self.setting, *self.handed, observation, mask, imagined, again, names]))
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


@pytest.mark.parametrize("name", ["mwkr", "random"])
def test_what_plays_in_compiled_code_is_handed_no_engine(name: str) -> None:
    from makespan.agents.catalogue import make_agent

    arena = open_arena(JOB_SHOP, 2, OPTIONS)
    agent = make_agent(name, arena.setting)
    play(arena, agent, [Case(None, 0)] * 2)
    assert dates(agent) == set()
    assert not hasattr(agent, "finish")
