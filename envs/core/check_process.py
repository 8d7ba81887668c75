"""The rules of what an environment does to its process: no hidden randomness, no pickles, no growing memory, plain
errors for odd options."""

from __future__ import annotations

import gc
import math
import random
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .check_play import Broken, Skipped, Subject, at_random, describe, first_difference, record, same, the_same
from .spec import Feature

_WINDOW = 400  # steps between two looks at memory
_PER_STEP, _FLAT = 12, 24 * 1024  # bytes that may be left by a step, and by anything else in a window
_ODD_VALUES = ("no-such-value-9f2c", -1_000_003, math.nan, [])
_CACHED_CODE = ("numba", "llvmlite")  # compiled code is read from the cache that belongs to the user


def features(subject: Subject) -> None:
    """The spec's features have names that differ, units in words, and room between their bounds."""
    spec = subject.observation_spec
    groups: dict[str, tuple[Feature, ...]] = {f"nodes/{node.name}": node.features for node in spec.nodes}
    groups |= {f"edge_features/{edge.name}": edge.features for edge in spec.edges}
    groups |= {f"series/{series.name}": series.features for series in spec.series}
    groups |= {"globals": spec.globals, "actions/features": spec.action_features}
    for group, columns in groups.items():
        names = [feature.name for feature in columns]
        for feature in columns:
            if names.count(feature.name) > 1:
                raise Broken(f"{group!r} has two features {feature.name!r}, expected names that differ")
            if not (isinstance(feature.name, str) and feature.name.strip()):
                raise Broken(f"a feature of {group!r} has the name {feature.name!r}, expected a text")
            is_flag = feature.low >= 0 and feature.high <= 1
            if not isinstance(feature.unit, str) or not (is_flag or feature.unit.strip()):
                raise Broken(
                    f"feature {feature.name!r} of {group!r} has the unit {feature.unit!r}, expected what 1 of it means"
                )
            if not feature.low < feature.high:
                raise Broken(
                    f"feature {feature.name!r} of {group!r} lies from {feature.low} to {feature.high}, expected room "
                    "between its bounds"
                )
    if not (math.isfinite(spec.time_scale) and spec.time_scale > 0):
        raise Broken(f"time_scale is {spec.time_scale}, expected a finite time above 0")


def global_randomness(subject: Subject) -> None:
    """What happens depends on the seed alone: the process's own random numbers are neither read nor moved."""
    trace = subject.traces[0]
    kept = _states()
    try:
        for number in (1, 2):
            random.seed(number)
            np.random.seed(number)  # noqa: NPY002
            before = _states()
            again = record(subject.make(), trace.seed, the_same(trace.actions))
            found = first_difference(trace, again)
            if found:
                raise Broken(
                    f"{found} changed with the process's own random numbers, expected it to depend on the seed alone"
                )
            for which, before_it in before.items():
                if not same(_states()[which], before_it):
                    raise Broken(f"an episode moved the process's {which}, expected random numbers of the seed's own")
    finally:
        random.setstate(kept["random"])
        np.random.set_state(kept["numpy.random"])  # noqa: NPY002


def _states() -> dict[str, Any]:
    """Where the process's own generators stand."""
    return {"random": random.getstate(), "numpy.random": np.random.get_state()}  # noqa: NPY002


def memory(subject: Subject) -> None:
    """Playing on and on takes no more memory."""
    env = subject.make()
    state: dict[str, Any] = {"mask": env.reset(seed=0)[0]["action_mask"], "choose": at_random(0)}
    traced = tracemalloc.is_tracing()
    if not traced:
        tracemalloc.start()
    try:
        _play_on(env, state)
        grown = []
        for _ in range(3):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            _play_on(env, state)
            gc.collect()
            grown.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        if not traced:
            tracemalloc.stop()
    allowed = _PER_STEP * _WINDOW + _FLAT
    if min(grown) > allowed:
        raise Broken(
            f"{_WINDOW} steps leave at least {min(grown):,} bytes each time, again and again; expected memory that "
            f"stays flat (at most {allowed:,})"
        )


def _play_on(env: Any, state: dict[str, Any]) -> None:
    for _ in range(_WINDOW):
        action = state["choose"](0, state["mask"])
        if action is None:
            raise Skipped("a state without a legal action ended the look at memory")
        observation, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            observation, _ = env.reset()
        state["mask"] = observation["action_mask"]


def pickles(subject: Subject) -> None:
    """Nothing is unpickled: a pickle runs whatever its maker wrote into it."""
    with _watching() as found:
        env = subject.make()
        names = env.instances() if callable(getattr(env, "instances", None)) else []
        if names and callable(getattr(env, "resolve_instances", None)):
            env.resolve_instances(names[0])
        record(env, 0, at_random(0))
    if found:
        raise Broken(
            f"a pickle was read (it named {found[0]}), expected data in formats that hold no code, such as JSON"
        )


_watched: list[list[str]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "pickle.find_class" and _watched:
        frame = sys._getframe()
        while frame is not None:
            if frame.f_globals.get("__name__", "").partition(".")[0] in _CACHED_CODE:
                return
            frame = frame.f_back
        _watched[-1].append(".".join(map(str, arguments)))


_hooked: list[bool] = []


@contextmanager
def _watching() -> Iterator[list[str]]:
    """What is unpickled meanwhile. The interpreter's hook stays, idle: it cannot be taken away."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_hook)
    _watched.append([])
    try:
        yield _watched[-1]
    finally:
        _watched.pop()


def options(subject: Subject) -> None:
    """Options of odd values are refused in one line that names the option or the value."""
    from ..registry import find_card

    card = find_card(subject.env_id)
    known = [option for option in card.options if option.name not in subject.options]
    if not known:
        raise Skipped("there are no options")
    names = subject.env.instances() if callable(getattr(subject.env, "instances", None)) else []
    listed = any(option.name == "instance" for option in card.options)
    quick = {"instance": names[0]} if names and listed else {}
    for option in known:
        for value in _ODD_VALUES:
            told = f"option {option.name}={value!r}"
            try:
                subject.make(**{**quick, option.name: value})
            except ValueError as error:
                _check_message(told, option.name, value, str(error))
            except Exception as error:
                raise Broken(f"{told} raised {describe(error)}, expected an error that names the option") from error
            else:
                numeric = isinstance(option.default, bool | int | float)
                if numeric and isinstance(value, str | list):
                    raise Broken(f"{told} was accepted, expected an error: its default is {option.default!r}")


def _check_message(told: str, name: str, value: Any, message: str) -> None:
    if "\n" in message.strip():
        raise Broken(f"{told} gave a message of several lines ({message[:80]!r}), expected one")
    if name not in message and str(value) not in message and repr(value) not in message:
        raise Broken(f"{told} gave the message {message[:160]!r}, expected one that names the option or the value")
