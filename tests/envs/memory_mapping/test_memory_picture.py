"""Pictures of plans: what is drawn where and when."""

from __future__ import annotations

import sys
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from makespan.envs.core.errors import FieldError, MissingExtraError
from makespan.envs.memory_mapping.instance import Hardware, Instruction, MemoryInstance, Tensor
from makespan.envs.memory_mapping.picture import ansi, describe, draw, rgb_array
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan, Placement
from makespan.envs.memory_mapping.timeline import Timeline
from makespan.envs.memory_mapping.validity import validate
from support.memory_game import played_plan
from support.memory_programs import random_program

ENV = "makespan:makespan/MemoryMapping-v0"


def waiting() -> MemoryPlan:
    """A parameter of 40 bytes is fetched while instruction 1 computes for 30 ps: instruction 2 waits for 10."""
    hardware = Hardware("small", 100, 1, 10**12, 4 * 10**12, 2 * 10**12, copy_latency_ps=0)
    rows = (
        Instruction("a", (), ((1, 20),), 20),
        Instruction("b", (), (), 30),
        Instruction("c", ((0, 40), (1, 20)), ()),
    )
    instance = MemoryInstance("waiting", (Tensor(40, "param"), Tensor(20, "act")), rows, hardware)
    placements = (Placement(0, 1, 2, 20, copy=(0, 2)), Placement(1, 0, 2, 0))
    return MemoryPlan(instance, placements, "unlimited")


def looping() -> MemoryPlan:
    """The write-back of a loop's last value makes the end of the loop wait."""
    hardware = Hardware("small", 100, 1, 10**12, 4 * 10**12, 2 * 10**12, copy_latency_ps=0)
    rows = (
        Instruction("a", (), ((0, 20),), 10),
        Instruction("b", (), (), 5),
        Instruction("c", ((0, 20),), ()),
    )
    instance = MemoryInstance("looping", (Tensor(20, "act"),), rows, hardware, ((0, 1, 3),))
    return MemoryPlan(instance, (Placement(0, 0, 1, 0, write_backs=((0, 2),)),), "unlimited")


def test_the_dates_are_those_of_the_judge() -> None:
    plan = waiting()
    assert validate(plan) == []
    line = Timeline(plan)
    assert line.begin.tolist() == [0, 20, 60]
    assert line.end.tolist() == [20, 50, 75]
    assert line.waits == [(50, 60)]
    assert [(move.begin, move.end, move.share) for move in line.moves] == [(20, 50, 1.0), (50, 60, 1.0)]
    fetched, written = plan.placements[1], plan.placements[0]
    assert line.held(fetched) == (20, 75)
    assert line.arrives(fetched) == 60
    assert line.held(written) == (0, 75)
    assert line.arrives(written) == 0
    assert line.total == run_times(plan).judged_ps == 75


def test_the_end_of_a_loop_waits_before_what_follows() -> None:
    plan = looping()
    assert validate(plan) == []
    line = Timeline(plan)
    assert line.begin.tolist() == [0, 10, 30]
    assert line.waits == [(15, 30)]
    assert [(move.begin, move.end) for move in line.moves] == [(10, 15), (15, 30)]
    assert line.total == 50
    assert run_times(plan).judged_ps == 3 * 30 + 20


def test_moves_lie_where_the_channel_is_and_make_up_the_work() -> None:
    for seed in range(30):
        plan = played_plan(random_program(seed, 20), seed)
        line = Timeline(plan)
        once = line.times.instruction_ps.sum() + line.times.wait_ps.sum() + line.times.end_wait_ps.sum()
        assert line.total == once
        moved = sum((move.end - move.begin) * move.share for move in line.moves)
        assert moved == pytest.approx(sum(transfer.work_ps for transfer in plan.transfers))
        for before, after in zip(line.moves, line.moves[1:], strict=False):
            assert before.end <= after.begin + 1e-6, seed
        for move in line.moves:
            after, before = move.transfer.after, move.transfer.before
            assert move.begin >= line.end[after] - 1e-6 if after >= 0 else move.begin >= 0
            if before < len(line.begin):
                assert move.end <= line.begin[before] + 1e-6


def test_strips_are_drawn_at_their_time_and_offset() -> None:
    memory = draw(waiting()).axes[0]
    assert memory.get_ylim() == (0, 100)
    boxes = [tuple(np.ravel(path.get_extents().get_points())) for path in memory.collections[1].get_paths()]
    assert (20, 20, 75, 60) in boxes
    assert (0, 0, 75, 20) in boxes
    (fetched,) = [path.get_extents().get_points() for path in memory.collections[2].get_paths()]
    assert fetched.ravel().tolist() == [20, 20, 60, 60]


def test_a_plan_that_needs_little_of_cmem_fills_the_picture() -> None:
    plan = waiting()
    large = replace(plan, instance=plan.instance.on(replace(plan.instance.hardware, cmem_bytes=1300)))
    axes = draw(large).axes
    assert axes[0].get_ylim() == (0, 60)
    assert axes[0].get_ylabel() == "offset in CMEM (B; CMEM has 1.27 KiB)"
    rows = ansi(large, 100, 6).splitlines()
    assert rows[1].strip() == "B; CMEM has 1.27 KiB"
    assert [row.split("|")[0].strip() for row in rows[2:8]] == ["60", "50", "40", "30", "20", "10"]
    assert "p" in rows[2]
    assert draw(replace(large, placements=())).axes[0].get_ylim() == (0, 1300 / 1024)


def test_legends_say_what_colours_mean() -> None:
    legends = [legend for axes in draw(waiting()).axes if (legend := axes.get_legend()) is not None]
    assert [[text.get_text() for text in legend.get_texts()] for legend in legends] == [
        ["parameter", "activation", "being fetched", "wait"],
        ["instructions", "fetches", "write-backs"],
        ["time lost to HBM"],
    ]


def test_pixels_show_what_is_held() -> None:
    with_plan, without = rgb_array(waiting(), 600, 400), rgb_array(replace(waiting(), placements=()), 600, 400)
    assert with_plan.shape == without.shape == (400, 600, 3)
    assert with_plan.dtype == np.uint8
    assert (with_plan != without).any(axis=2).mean() > 0.2


def test_text_shows_the_map_the_channel_and_what_is_missed() -> None:
    rows = ansi(waiting(), 100, 10).splitlines()
    assert rows[0] == "waiting: 75 ps, 68.2% of all in HBM; waits: 10 ps"
    cells = {row.split("|")[0].strip(): row.split("|")[1] for row in rows if row.count("|") == 2}
    columns = len(cells["HBM"])

    def at(label: str, time: float) -> str:
        return cells[label][int(time / 75 * columns)]

    assert [at("60", time) for time in (10, 40, 55, 70)] == list(".~~p")
    assert [at("20", time) for time in (10, 40, 70)] == list("aaa")
    assert set(cells["100"]) == {"."}
    assert [at("HBM", time) for time in (10, 40, 55, 70)] == list(" >! ")
    assert set(cells["missed"]) == {" "}
    missed = ansi(replace(waiting(), placements=()), 100, 10).splitlines()
    assert "9" not in missed[-4]
    assert missed[-4].split("|")[1].strip()[-1] == "8", "45 of 60 ps are lost to HBM in the last instruction"


def test_loops_are_said_to_repeat() -> None:
    assert "instructions 0 to 1 run 3 times" in ansi(looping())
    assert "×3" in [text.get_text() for text in draw(looping()).axes[0].texts]


@pytest.mark.parametrize(("option", "value"), [("width", 29), ("height", 3)])
def test_a_text_too_small_is_refused(option: str, value: int) -> None:
    with pytest.raises(FieldError, match=f"{option} is {value}"):
        ansi(waiting(), **{option: value})


def test_random_plans_can_be_drawn() -> None:
    for seed in range(6):
        plan = played_plan(random_program(seed, 12), seed)
        assert rgb_array(plan, 500, 300).shape == (300, 500, 3)
        assert ansi(plan).startswith(describe(plan, run_times(plan)))


def test_the_environment_draws_a_game_under_way() -> None:
    env = gymnasium.make(ENV, render_mode="rgb_array", instance="alexnet_b8_32m")
    _, info = env.reset(seed=0)
    first = env.render()
    while info["action_mask"][1] == 0:
        _, _, _, _, info = env.step(int(np.flatnonzero(info["action_mask"])[0]))
    env.step(1)
    then = env.render()
    assert isinstance(first, np.ndarray)
    assert isinstance(then, np.ndarray)
    assert first.shape == then.shape
    assert (first != then).any()
    env.close()
    env = gymnasium.make(ENV, render_mode="ansi", instance="alexnet_b8_32m")
    env.reset(seed=0)
    assert str(env.render()).startswith("alexnet_b8_32m: ")
    env.close()


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match="plot"):
        draw(waiting())
