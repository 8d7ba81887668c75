"""The rules of what an environment may offer; where it is missing, the rule says what that switches off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from .chart import Chart
from .check_files import plain_schedule
from .check_play import (
    MOST_STEPS,
    Broken,
    Skipped,
    Subject,
    Trace,
    at_random,
    by_step,
    describe,
    finish,
    record,
    same,
    the_same,
)
from .engine import BatchEngine
from .errors import MissingExtraError, UserError

_COPIES = 3
_VECTOR_SEED = 11
_IMAGINED_STEPS = 25
_NO_SUCH_NAME = "no-such-instance-9f2c"


def elapsed(subject: Subject) -> None:
    """info['elapsed'] is the simulated time that a step took."""
    for trace in subject.traces:
        for step, turn in enumerate(trace.turns[1:], 1):
            if "elapsed" not in turn.info:
                raise Skipped(f"info has no 'elapsed' after step {step}; switches off discounting by simulated time")
            value = turn.info["elapsed"]
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise Broken(f"info['elapsed'] is {value!r} after step {step}, expected a number")
            if not (math.isfinite(value) and value >= 0):
                raise Broken(f"info['elapsed'] is {value} after step {step}, expected a finite time of at least 0")


def illegal_actions(subject: Subject) -> None:
    """on_illegal='raise' refuses and changes nothing, 'terminate' ends lower."""
    if not subject.takes("on_illegal"):
        raise Skipped("there is no option on_illegal; switches off refusing illegal actions inside the environment")
    trace = subject.traces[0]
    masks = [turn.observation["action_mask"] for turn in trace.turns if not turn.ended]
    at = next((step for step, mask in enumerate(masks) if not mask.all()), None)
    if at is None:
        raise Skipped("every action was legal in every state; illegal actions were not tried")
    action = int(np.flatnonzero(masks[at] == 0)[0])
    _check_raise(subject, trace, at, action)
    _check_terminate(subject, trace, at, action)


def _check_raise(subject: Subject, trace: Trace, at: int, action: int) -> None:
    env = subject.make(on_illegal="raise")
    record(env, trace.seed, the_same(trace.actions[:at]))
    for wrong in (action, int(env.action_space.n), -1):
        try:
            env.step(wrong)
        except ValueError:
            continue
        raise Broken(f"on_illegal='raise' let action {wrong} pass after step {at}, expected a ValueError")
    for step, played in enumerate(trace.turns[at + 1 :], at + 1):
        observation, reward, *_ = env.step(played.action)
        if not same(observation, played.observation) or reward != played.reward:
            raise Broken(f"a refused action changed the episode: step {step} differs, expected the state untouched")


def _check_terminate(subject: Subject, trace: Trace, at: int, action: int) -> None:
    env = subject.make(on_illegal="terminate")
    total = record(env, trace.seed, the_same(trace.actions[:at])).total_reward
    _, reward, terminated, truncated, info = env.step(action)
    if not (terminated and not truncated and info.get("illegal_action") is True):
        raise Broken(
            f"on_illegal='terminate' gave terminated={terminated}, truncated={truncated}, "
            f"info['illegal_action']={info.get('illegal_action')!r}, expected True, False, True"
        )
    if any(turn.info.get("illegal_action", False) for turn in trace.turns):
        raise Broken("info['illegal_action'] was true in an episode of legal actions")
    if trace.ended and total + reward >= trace.total_reward:
        raise Broken(
            f"an illegal action gave the return {total + reward:g}, a legal episode of the same seed "
            f"{trace.total_reward:g}: expected the illegal one below"
        )


def instances(subject: Subject) -> None:
    """Each named instance can be picked at a reset, an unknown name is an error."""
    names = _instance_names(subject)
    if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        raise Broken("instances() is not a list of different names")
    for name in _sample(names):
        given = _episode_on(subject, name)[1].get("instance")
        if given != name:
            raise Broken(f"reset(options={{'instance': {name!r}}}) played {given!r} by info['instance']")
    try:
        subject.make().reset(seed=0, options={"instance": _NO_SUCH_NAME})
    except ValueError:
        return
    raise Broken(f"reset(options={{'instance': {_NO_SUCH_NAME!r}}}) was accepted, expected a ValueError that names it")


def _instance_names(subject: Subject) -> list[str]:
    if not callable(getattr(subject.env, "instances", None)):
        raise Skipped("there is no method instances(); switches off playing and comparing on named instances")
    names = subject.env.instances()
    if not names:
        raise Skipped("instances() is empty; switches off playing and comparing on named instances")
    return list(names)


def _sample(names: list[str]) -> list[str]:
    return list(dict.fromkeys([names[0], names[len(names) // 2]]))


def _episode_on(subject: Subject, name: str) -> tuple[Any, dict[str, Any]]:
    """A copy and the last info of an episode that it played on a named instance."""
    env = subject.make()
    try:
        return env, finish(env, 7, {"instance": name})
    except UserError:  # it may have no room for this instance
        if not subject.takes("instance"):
            raise
        env = subject.make(instance=name)
        return env, finish(env, 7, {"instance": name})


def snapshot(subject: Subject) -> None:
    """restore(snapshot()) goes back to the same present and future."""
    env = subject.env
    if not (callable(getattr(env, "snapshot", None)) and callable(getattr(env, "restore", None))):
        raise Skipped(
            "there are no methods snapshot() and restore(); switches off resuming in the middle of an episode"
        )
    trace = subject.traces[0]
    actions = trace.actions
    middle = len(actions) // 2
    env = subject.make()
    record(env, trace.seed, the_same(actions[:middle]))
    saved = env.snapshot()
    for attempt in ("the first time", "after restore()"):
        for step, action in enumerate(actions[middle:], middle + 1):
            observation, reward, *_ = env.step(action)
            played = trace.turns[step]
            if not same(observation, played.observation) or reward != played.reward:
                raise Broken(f"step {step} differs {attempt}, expected the same as in an episode without snapshots")
        env.restore(saved)


def imagine(subject: Subject) -> None:
    """Imagined copies show the same present and know nothing of the hidden seed."""
    env = subject.make()
    if not callable(getattr(env, "imagine", None)):
        raise Skipped(
            "there is no method imagine(); switches off rollout, search and every other agent that looks ahead"
        )
    trace = subject.traces[0]
    middle = len(trace.actions) // 3
    record(env, trace.seed, the_same(trace.actions[:middle]))
    imagined = env.imagine([1, 2, 3, 1])
    if not isinstance(imagined, BatchEngine):
        raise Broken(f"imagine(keys) returned a {type(imagined).__name__}, expected a BatchEngine of one copy per key")
    _expect_present(imagined, trace.turns[middle].observation)
    _expect_same_key_same_future(imagined)
    for step, played in enumerate(trace.turns[middle + 1 :], middle + 1):
        if not same(env.step(played.action)[0], played.observation):
            raise Broken(f"playing in imagined copies changed the real one: step {step} differs")
    _expect_no_foresight(subject)


def _expect_present(imagined: BatchEngine, present: dict[str, Any]) -> None:
    for copy in range(imagined.num_copies):
        row = imagined.block.row(copy)
        for key, value in present.items():
            if not same(row[key], value):
                raise Broken(
                    f"imagined copies show another present in {key!r}: the observation tells something "
                    "of the hidden future, or imagine changes what is known"
                )


def _advance(engine: BatchEngine, step: int) -> None:
    masks = engine.masks
    actions = [by_step(step, masks[copy]) or 0 for copy in range(engine.num_copies)]
    engine.step(actions)


def _expect_same_key_same_future(imagined: BatchEngine) -> None:
    for step in range(_IMAGINED_STEPS):
        if not imagined.is_running().any():
            return
        _advance(imagined, step)
        if not same(imagined.block.row(0), imagined.block.row(3)):
            raise Broken(f"two copies imagined from the same key part after step {step + 1}, expected the same future")


def _expect_no_foresight(subject: Subject) -> None:
    """Two worlds that look the same so far must be imagined alike: a plan cannot depend on the hidden seed."""
    options = None
    if callable(getattr(subject.env, "instances", None)) and subject.env.instances():
        names = _sample(subject.env.instances())
        room = subject.make()
        for name in names:
            try:
                room.reset(seed=0, options={"instance": name})
            except ValueError:
                continue
            options = {"instance": name}
            break
    one, two = subject.make(), subject.make()
    start = [env.reset(seed=seed, options=options)[0] for env, seed in ((one, 5), (two, 6))]
    if not same(*start):
        return
    engines = [env.imagine([1, 2, 3, 4]) for env in (one, two)]
    for step in range(_IMAGINED_STEPS):
        if not engines[0].is_running().any():
            return
        for engine in engines:
            _advance(engine, step)
        for copy in range(4):
            if not same(engines[0].block.row(copy), engines[1].block.row(copy)):
                raise Broken(
                    f"two worlds that look alike are imagined differently from the same key after step {step + 1}: "
                    "imagine knows the episode's hidden seed"
                )


def vector(subject: Subject) -> None:
    """The vector door agrees with the single one step for step, over later episodes too."""
    if subject.spec.vector_entry_point is None:
        raise Skipped("there is no vector_entry_point; many copies are stepped one by one in Python, which is slow")
    many = gymnasium.make_vec(subject.env_id, num_envs=_COPIES, **subject.options)
    if many.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
        found = many.metadata.get("autoreset_mode")
        raise Broken(f"metadata['autoreset_mode'] of the vector door is {found!r}, expected AutoresetMode.SAME_STEP")
    singles = [subject.make() for _ in range(_COPIES)]
    observations, _ = many.reset(seed=_VECTOR_SEED)
    rows = [env.reset(seed=_VECTOR_SEED + copy)[0] for copy, env in enumerate(singles)]
    _expect_rows("at the reset", observations, rows)
    _expect_masks("at the reset", many, rows)
    ended = np.zeros(_COPIES, dtype=np.int64)
    choose = [at_random(copy) for copy in range(_COPIES)]
    for step in range(1, 2 * MOST_STEPS):
        actions = [choose[copy](step, rows[copy]["action_mask"]) for copy in range(_COPIES)]
        if None in actions:
            raise Skipped("a state without a legal action ended the comparison with the vector door")
        observations, reward, terminated, truncated, info = many.step(np.array(actions, dtype=np.int64))
        for copy, env in enumerate(singles):
            where = f"copy {copy} after step {step}"
            row, value, end, cut, single_info = env.step(actions[copy])
            if (value, end, cut) != (reward[copy], terminated[copy], truncated[copy]):
                raise Broken(
                    f"{where}: the vector door gave {(reward[copy], terminated[copy], truncated[copy])}, "
                    f"the single one {(value, end, cut)}"
                )
            if end or cut:
                _expect_final(where, info, copy, row, single_info)
                ended[copy] += 1
                row, _ = env.reset()
            rows[copy] = row
        _expect_rows(f"after step {step}", observations, rows)
        _expect_masks(f"after step {step}", many, rows)
        if (ended >= 2).all():
            return


def _expect_rows(when: str, observations: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    for copy, row in enumerate(rows):
        for key, value in row.items():
            if not same(observations[key][copy], value):
                raise Broken(
                    f"{when} observation[{key!r}] of copy {copy} in the vector door differs from the single one's"
                )


def _expect_masks(when: str, many: Any, rows: list[dict[str, Any]]) -> None:
    if hasattr(many, "action_masks"):  # else the observation's mask, compared already, is all there is
        expected = np.stack([row["action_mask"] != 0 for row in rows])
        if not same(many.action_masks(), expected):
            raise Broken(f"{when} action_masks() of the vector door differs from the single one's")


def _expect_final(where: str, info: dict[str, Any], copy: int, row: dict[str, Any], single: dict[str, Any]) -> None:
    if not same(info["final_obs"][copy], row):
        raise Broken(f"{where}: final_obs of the vector door differs from the single door's last observation")
    final = info["final_info"]
    for key in ("objective", "seed", "instance"):
        if final[key][copy] != single[key]:
            raise Broken(
                f"{where}: final_info[{key!r}] of the vector door is {final[key][copy]!r}, "
                f"the single door says {single[key]!r}"
            )


def bounds(subject: Subject) -> None:
    """No objective is better than bound(), nor is best_known()."""
    offers = [name for name in ("bound", "best_known") if callable(getattr(subject.env, name, None))]
    if not offers:
        raise Skipped("there are no methods bound() and best_known(); switches off gaps")
    names: list[str | None] = [None]
    if callable(getattr(subject.env, "instances", None)) and subject.env.instances():
        names = [*_sample(subject.env.instances())]
    known = 0
    for name in names:
        if name is None:
            env = subject.make()
            info = finish(env, 7)
        else:
            env, info = _episode_on(subject, name)
        instance = info["instance"]
        try:
            values = {offer: getattr(env, offer)(instance) for offer in offers}
        except Exception as error:
            raise Broken(f"bound or best_known of instance {instance!r} raised {describe(error)}") from error
        known += sum(value is not None for value in values.values())
        _check_bounds(subject, instance, info["objective"], values)
    if not known:
        raise Skipped("bound() and best_known() know nothing of the instances tried; switches off gaps")


def _check_bounds(subject: Subject, instance: str, objective: float, values: dict[str, Any]) -> None:
    sign = 1 if subject.sense == "min" else -1
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise Broken(f"{name}({instance!r}) is {value}, expected a finite number or None")
    lower, best = values.get("bound"), values.get("best_known")
    side = "below" if sign > 0 else "above"
    if lower is not None and sign * objective < sign * lower:
        raise Broken(f"an episode on {instance!r} reached {objective}, {side} bound() {lower}")
    if lower is not None and best is not None and sign * best < sign * lower:
        raise Broken(f"best_known({instance!r}) is {best}, {side} bound() {lower}")


def schedule(subject: Subject) -> None:
    """Schedules are plain data, state the objective, and validate finds nothing wrong with them."""
    env = subject.make()
    if not callable(getattr(env, "schedule", None)):
        raise Skipped("there is no method schedule(); switches off saving, checking and drawing schedules")
    for seed in (7, 8):
        objective = finish(env, seed).get("objective")
        outcome = env.schedule()
        plain_schedule(outcome)
        stated = outcome.get("objective") if isinstance(outcome, Mapping) else getattr(outcome, "objective", None)
        if stated is not None and stated != objective:
            raise Broken(f"the schedule's objective is {stated}, but info['objective'] was {objective}")
        if not callable(getattr(env, "validate", None)):
            raise Skipped("there is no method validate(schedule); switches off checking schedules")
        complaints = env.validate(outcome)
        if not isinstance(complaints, list):
            raise Broken(f"validate(schedule) returned a {type(complaints).__name__}, expected a list of texts")
        if complaints:
            raise Broken(f"validate says of the schedule of an episode of legal actions: {complaints[0]}")


def drawing(subject: Subject) -> None:
    """A saved schedule is read back and drawn."""
    env = subject.make()
    offers = [name for name in ("draw", "ansi", "chart") if callable(getattr(env, name, None))]
    if not offers or not callable(getattr(env, "schedule", None)):
        raise Skipped("there is no method draw, ansi or chart(schedule); switches off drawing saved schedules")
    finish(env, 7)
    data = plain_schedule(env.schedule())
    if callable(getattr(env, "read_schedule", None)):
        again = env.read_schedule(data)
        if plain_schedule(again) != data:
            raise Broken("read_schedule(data) gave a schedule whose data are others, expected the one that was saved")
    else:
        again = data
    for name in offers:
        try:
            picture = getattr(env, name)(again)
        except MissingExtraError as error:
            raise Skipped(str(error)) from None
        if name == "ansi":
            _check_picture("ansi", "of a saved schedule", picture)
        elif name == "chart":
            if not isinstance(picture, Chart):
                expected = "a Chart of makespan.envs.core.chart"
                raise Broken(f"chart(schedule) gave a {type(picture).__name__}, expected {expected}")
        elif not hasattr(picture, "savefig"):
            raise Broken(f"draw(schedule) gave a {type(picture).__name__}, expected a matplotlib figure")


def render(subject: Subject) -> None:
    """The declared render modes draw, right after reset and at the end."""
    modes = [mode for mode in subject.env.metadata.get("render_modes", []) if mode in ("rgb_array", "ansi")]
    if not modes:
        raise Skipped("render_modes has neither 'rgb_array' nor 'ansi'; switches off pictures")
    for mode in modes:
        env = subject.make(render_mode=mode)
        env.reset(seed=0)
        try:
            _check_picture(mode, "after reset", env.render())
        except MissingExtraError as error:
            raise Skipped(f"{mode}: {error}") from None
        finish(env, 0)
        _check_picture(mode, "at the end of an episode", env.render())


def _check_picture(mode: str, when: str, picture: Any) -> None:
    if mode == "ansi":
        if not (isinstance(picture, str) and picture.strip()):
            raise Broken(f"render() in mode 'ansi' {when} gave a {type(picture).__name__}, expected a text")
    elif not (isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3):
        raise Broken(f"render() in mode 'rgb_array' {when} gave {type(picture).__name__}, expected uint8 [H, W, 3]")
    elif picture.shape[2] != 3:
        raise Broken(f"render() in mode 'rgb_array' {when} gave shape {picture.shape}, expected [H, W, 3]")


def sizes(subject: Subject) -> None:
    """The spec is the same for instances of different sizes."""
    names = _instance_names(subject)
    if not subject.takes("instance"):
        raise Skipped("there is no option instance; the spec was not compared between instances")
    hashes = {name: subject.make(instance=name).observation_spec.hash for name in (names[0], names[-1])}
    if len(set(hashes.values())) > 1:
        raise Broken(
            f"the spec's hash depends on the instance ({hashes}), expected names, units and bounds but no counts"
        )
