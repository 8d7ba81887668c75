"""The rules of where state lies: copies do not touch one another, whatever shares a batch with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from .check_play import Broken, Skipped, Subject, Trace, Turn, at_random, difference, record, same, the_same
from .engine import BatchEngine
from .env import SchedulingVectorEnv
from .ids import takes_option, vector_creator

_MOST_STEPS = 300
_BATCH, _PLACE = 5, 3
_OTHER_SEEDS = 40


def copies(subject: Subject) -> None:
    """Two copies that are played in turns give the traces that each gives alone."""
    pair = [(subject.make(), trace) for trace in subject.traces[:2]]
    for env, trace in pair:
        env.reset(seed=trace.seed)
    for step in range(max(len(trace.actions) for _, trace in pair)):
        for env, trace in pair:
            if step < len(trace.actions):
                found = _step_differs(env, trace, step)
                if found:
                    raise Broken(
                        f"two copies were played in turns, and {found} of seed {trace.seed} differs after step "
                        f"{step + 1} from an episode played alone: expected copies that share no state"
                    )


def _step_differs(env: Any, trace: Trace, step: int) -> str | None:
    observation, reward, terminated, truncated, info = env.step(trace.actions[step])
    now = Turn(trace.actions[step], observation, reward, terminated, truncated, info, env.action_masks())
    return difference(now, trace.turns[step + 1])


def batch(subject: Subject) -> None:
    """A world is the same alone, at any place of a batch, beside any neighbours, and on any number of threads."""
    trace = subject.traces[0]
    creator = vector_creator(_vector_spec(subject))
    _play_beside(subject, trace, 1, 0, "copy 0 of 1", {})
    _play_beside(subject, trace, _BATCH, _PLACE, f"copy {_PLACE} of {_BATCH}", {})
    if isinstance(creator, type) and issubclass(creator, SchedulingVectorEnv):
        _play_beside(subject, trace, _BATCH, _PLACE, f"copy {_PLACE} of {_BATCH} on 2 threads", {"threads": 2})


def _play_beside(subject: Subject, trace: Trace, count: int, place: int, where: str, more: dict[str, Any]) -> None:
    """Play a trace at one place of a batch, random actions at the others."""
    many = _make_many(subject, count, **more)
    seeds = [_OTHER_SEEDS + copy for copy in range(count)]
    seeds[place] = trace.seed if trace.seed is not None else 0
    observations, _ = many.reset(seed=seeds)
    _expect_place(f"{where} at the reset", trace.turns[0], observations, place)
    choose = [at_random(100 + copy) for copy in range(count)]
    for step, played in enumerate(trace.turns[1 : _MOST_STEPS + 1]):
        masks = observations["action_mask"]
        actions = [choose[copy](step, masks[copy]) or 0 for copy in range(count)]
        actions[place] = trace.actions[step]
        observations, reward, terminated, truncated, _ = many.step(np.array(actions, dtype=np.int64))
        told = f"{where} after step {step + 1}"
        found = (float(reward[place]), bool(terminated[place]), bool(truncated[place]))
        if found != (float(played.reward), played.terminated, played.truncated):
            raise Broken(
                f"{told} gave {found}, alone {(float(played.reward), played.terminated, played.truncated)}: "
                "expected the same world whatever else is in the batch"
            )
        if played.ended:
            return
        _expect_place(told, played, observations, place)


def _expect_place(told: str, played: Turn, observations: dict[str, Any], place: int) -> None:
    for key, value in played.observation.items():
        if not same(observations[key][place], value):
            raise Broken(f"{told} observation[{key!r}] differs from that of a copy alone, expected the same")


def _vector_spec(subject: Subject) -> Any:
    if subject.spec.vector_entry_point is None:
        raise Skipped("there is no vector_entry_point; many copies are stepped one by one in Python, which is slow")
    return subject.spec


def _make_many(subject: Subject, count: int, **more: Any) -> Any:
    return gymnasium.make_vec(_vector_spec(subject).id, num_envs=count, **subject.options, **more)


def vector_illegal(subject: Subject) -> None:
    """Refused actions leave every copy of a batch untouched; ended ones end their own copy alone."""
    creator = vector_creator(_vector_spec(subject))
    if not (subject.takes("on_illegal") and takes_option(creator, "on_illegal")):
        raise Skipped("the vector door has no option on_illegal; switches off refusing illegal actions there")
    trace = subject.traces[0]
    masks = [turn.observation["action_mask"] for turn in trace.turns if not turn.ended]
    at = next((step for step, mask in enumerate(masks) if not mask.all()), None)
    if at is None:
        raise Skipped("every action was legal in every state; illegal actions were not tried")
    wrong = int(np.flatnonzero(masks[at] == 0)[0])
    right = trace.actions[at]
    _check_refusal(subject, trace, at, [right, wrong, right])
    many = _played_to(subject, trace, at, "terminate")
    _, reward, terminated, _, _ = many.step(np.array([right, wrong, right], dtype=np.int64))
    after = trace.turns[at + 1]
    if not terminated[1] or [bool(terminated[0]), bool(terminated[2])] != [after.terminated] * 2:
        raise Broken(
            f"an illegal action of copy 1 gave terminated {terminated.tolist()}, expected copy 1 to end and the others "
            "to go on"
        )
    if float(reward[0]) != float(after.reward) or float(reward[2]) != float(after.reward):
        raise Broken("an illegal action of copy 1 changed the reward of its neighbours, expected them untouched")


def _check_refusal(subject: Subject, trace: Trace, at: int, actions: Sequence[int]) -> None:
    many = _played_to(subject, trace, at, "raise")
    try:
        many.step(np.array(actions, dtype=np.int64))
    except ValueError as error:
        if "1" not in str(error):
            raise Broken(f"the vector door refused with {str(error)!r}, expected it to name the copy, 1") from None
    else:
        raise Broken(f"on_illegal='raise' let action {actions[1]} of copy 1 pass, expected a ValueError")
    for step in range(at, min(len(trace.actions), at + _MOST_STEPS)):
        played = trace.turns[step + 1]
        observations, reward, *_ = many.step(np.full(3, trace.actions[step], dtype=np.int64))
        if any(float(value) != float(played.reward) for value in reward):
            raise Broken(f"a refused action changed the batch: the reward of step {step + 1} differs")
        if played.ended:
            return
        for place in range(3):
            _expect_place(f"after a refused action copy {place} of 3, step {step + 1},", played, observations, place)


def _played_to(subject: Subject, trace: Trace, at: int, on_illegal: str) -> Any:
    """Three copies of a trace's world after `at` steps."""
    many = _make_many(subject, 3, on_illegal=on_illegal)
    many.reset(seed=[trace.seed] * 3)
    for action in trace.actions[:at]:
        many.step(np.full(3, action, dtype=np.int64))
    return many


def vector_snapshot(subject: Subject) -> None:
    """A batch goes back to its snapshot, and another batch goes on from it, as a resumed training run does."""
    many = _make_many(subject, 3)
    if not (callable(getattr(many, "snapshot", None)) and callable(getattr(many, "restore", None))):
        raise Skipped("the vector door has no snapshot() and restore(); switches off resuming training to the letter")
    observations, _ = many.reset(seed=_OTHER_SEEDS)
    for step in range(_MOST_STEPS // 10):
        observations = _random_step(many, observations, step)[0]
    saved = many.snapshot()
    first = _random_step(many, observations, 0)
    later = _make_many(subject, 3)
    later.reset(seed=0)
    for who, env in (("the same batch", many), ("another batch", later)):
        env.restore(saved)
        if not same(_random_step(env, observations, 0), first):
            raise Broken(f"{who} went on differently after restore(snapshot()), expected the same present and future")


def _random_step(many: Any, observations: dict[str, Any], step: int) -> tuple[dict[str, Any], Any, Any]:
    masks = observations["action_mask"]
    actions = [at_random(step * 10 + copy)(step, masks[copy]) or 0 for copy in range(len(masks))]
    observations, reward, terminated, *_ = many.step(np.array(actions, dtype=np.int64))
    return observations, reward, terminated


def engine_of(subject: Subject) -> BatchEngine:
    """The engine of a fresh copy.

    Raises:
        Skipped: it is plain Python.
    """
    env = subject.make()
    engine = getattr(env, "engine", None)
    if not isinstance(engine, BatchEngine):
        raise Skipped("there is no batch engine; switches off compiled play, and all that is made from it")
    env.reset(seed=subject.traces[0].seed)
    return engine


def rewriting(subject: Subject) -> None:
    """Of an observation only what changed is rewritten; all of it, written from scratch, must be the same."""
    engine = engine_of(subject)
    for step, action in enumerate([None, *subject.traces[0].actions[:_MOST_STEPS]]):
        if action is not None:
            engine.step([action])
        shown = engine.block.copies()
        engine._write_all()
        for key, value in engine.block.views.items():
            if not same(shown[key], value):
                raise Broken(
                    f"observation[{key!r}] after step {step} differs from one written from scratch: expected whatever "
                    "a step changes to be rewritten"
                )


def engine_copy(subject: Subject) -> None:
    """engine.copy(source, target) makes a copy equal, its future included."""
    engine_of(subject)
    engine = _make_many(subject, 2).engine
    engine.reset([_OTHER_SEEDS, _OTHER_SEEDS + 1])
    _play_apart(engine, 5)
    engine.copy([0], [1])
    for step in range(25):
        if not same(engine.block.row(0), engine.block.row(1)):
            raise Broken(f"engine.copy([0], [1]) left copies that differ {step} steps later, expected equal ones")
        if not engine.is_running()[0]:
            return
        action = at_random(step)(step, engine.masks[0]) or 0
        engine.step([action, action])


def _play_apart(engine: BatchEngine, steps: int) -> None:
    """Some random steps, others in each copy."""
    for step in range(steps):
        if not engine.is_running().all():
            return
        masks = engine.masks
        engine.step([at_random(step + copy)(step, masks[copy]) or 0 for copy in range(len(masks))])


def foreseeable(subject: Subject) -> None:
    """Where nothing is called stochastic, no key changes what is imagined."""
    engine = engine_of(subject)
    if engine.stochastic:
        raise Skipped("the world is stochastic; imagined futures may differ from key to key")
    imagined = engine.imagine(np.zeros(2, dtype=np.int64), np.array([1, 2], dtype=np.uint64))
    for step in range(_MOST_STEPS):
        if not same(imagined.block.row(0), imagined.block.row(1)):
            raise Broken(
                f"two futures imagined from different keys differ after step {step}, but stochastic is False: expected "
                "stochastic=True in the spec, or one future"
            )
        if not imagined.is_running()[0]:
            return
        action = at_random(step)(step, imagined.masks[0]) or 0
        imagined.step([action, action])


def seeds(subject: Subject) -> None:
    """Every seed from 0 to 2**62 - 1 is a world of its own number."""
    for seed in (2**31 + 5, 2**62 - 1):
        trace = record(subject.make(), seed, at_random(1))
        if trace.ended and trace.final.get("seed") != seed:
            raise Broken(f"an episode of seed {seed} reports the seed {trace.final.get('seed')!r}, expected its own")
        again = record(subject.make(), seed, the_same(trace.actions[:1]))
        if difference(again.turns[0], trace.turns[0]):
            raise Broken(f"seed {seed} gave two different worlds, expected one")
    try:
        subject.make().reset(seed=-1)
    except (ValueError, gymnasium.error.Error):
        return
    raise Broken("reset(seed=-1) was accepted, expected an error: seeds are integers from 0")
