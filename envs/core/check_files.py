"""The rules of what is read and written: instances and schedules come back as they were, malformed ones are refused."""

from __future__ import annotations

import copy
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .check_play import Broken, Skipped, Subject, at_random, describe, finish, first_difference, record, the_same

_MOST_LEAVES = 15
_PLAYED = (7, 8, 9, 10)
"""Seeds of the episodes whose schedules are tampered with, until one is doubted."""
_MOST_NUMBERS = 60
_DEEP = 10_000
_JUNK: tuple[Any, ...] = (None, "x", -1, 1.5, float("nan"), True, [], {}, 10**30, [[]])


def instance_files(subject: Subject) -> None:
    """A saved instance is read back by its path, and plays as before."""
    instance = _instance(subject)
    with tempfile.TemporaryDirectory() as folder:
        again = _read_back(subject, instance, Path(folder))
    if instance.to_dict() != again.to_dict():
        raise Broken(f"instance {instance.name!r} was saved and read back as another: {_differing(instance, again)}")
    seed = 3
    first = _episode_on(subject, instance, at_random(seed))
    found = first_difference(first, _episode_on(subject, again, the_same(first.actions)))
    if found:
        raise Broken(f"instance {instance.name!r}, saved and read back, plays differently: {found} differs")


def _instance(subject: Subject) -> Any:
    """An instance as an object that can be saved.

    Raises:
        Skipped: there is none.
    """
    env = subject.make()
    if not callable(getattr(env, "resolve_instances", None)):
        raise Skipped("there is no method resolve_instances(text); switches off playing on instances from files")
    names = env.instances() if callable(getattr(env, "instances", None)) else []
    if not names:
        raise Skipped("instances() names none; files of instances were not tried")
    (instance,) = env.resolve_instances(names[0])
    if not (callable(getattr(instance, "save", None)) and callable(getattr(instance, "to_dict", None))):
        raise Skipped("instances have no methods save(path) and to_dict(); switches off files of one's own instances")
    return instance


def _read_back(subject: Subject, instance: Any, folder: Path) -> Any:
    path = folder / "instance.json"
    instance.save(path)
    left = sorted(found.name for found in folder.iterdir())
    if left != [path.name]:
        raise Broken(f"save(path) left {left}, expected the one file that was asked for")
    found = subject.make().resolve_instances(str(path))
    if len(found) != 1:
        raise Broken(f"resolve_instances(path) gave {len(found)} instances, expected the one in the file")
    return found[0]


def _differing(left: Any, right: Any) -> str:
    one, other = left.to_dict(), right.to_dict()
    keys = [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
    return f"{', '.join(map(repr, sorted(keys)))} differ"


def _episode_on(subject: Subject, instance: Any, choose: Any) -> Any:
    env = subject.make(instance=[instance]) if subject.takes("instance") else subject.make()
    return record(env, 3, choose, {"instance": instance})


def malformed_instances(subject: Subject) -> None:
    """A file that is cut off, or that holds junk somewhere, is an error of one line and never a crash."""
    instance = _instance(subject)
    env = subject.make()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "instance.json"
        instance.save(path)
        whole = path.read_bytes()
        read: Callable[[], Any] = lambda: env.resolve_instances(str(path))  # noqa: E731
        for at in sorted({0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 3}):
            path.write_bytes(whole[:at])
            if _accepts(f"a file cut off after {at} of {len(whole)} bytes", read):
                raise Broken(f"a file cut off after {at} of {len(whole)} bytes was read, expected an error")
        for told, content in _odd_files(whole):
            path.write_bytes(content)
            if _accepts(told, read):
                raise Broken(f"{told} was read as an instance, expected an error")
        try:
            data = json.loads(whole)
        except ValueError:
            return  # a format of its own
        for told, mutant in _mutants(data):
            path.write_text(json.dumps(mutant))
            _accepts(told, read)
        path.unlink()
        for told in ("a file that is missing", "a folder in a file's place"):
            if _accepts(told, read):
                raise Broken(f"{told} was read as an instance, expected an error")
            path.mkdir(exist_ok=True)


def _odd_files(whole: bytes) -> Iterator[tuple[str, bytes]]:
    yield "a file of bytes that are no text", b"\xff\xfe\x00" + whole[3:]
    yield "a file that holds null", b"null"
    yield "a file that holds an empty object", b"{}"
    yield "a file of brackets nested too deep", b"[" * _DEEP + b"]" * _DEEP


def _accepts(told: str, read: Callable[[], Any]) -> bool:
    """Whether something malformed is read; a refusal must be a ValueError of one line."""
    try:
        read()
    except ValueError as error:
        if "\n" in str(error).strip() or not str(error).strip():
            raise Broken(f"{told} gave the message {str(error)[:200]!r}, expected one line") from None
        return False
    except Exception as error:
        raise Broken(f"{told} raised {describe(error)}, expected an error of one line (a ValueError)") from error
    return True


def _leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places in nested data, containers included."""
    children: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in children:
        yield (*path, key)
        yield from _leaves(value, (*path, key))


def _mutants(data: Any) -> Iterator[tuple[str, Any]]:
    """The data with one thing wrong, in words."""
    places = list(_leaves(data))
    rng = random.Random(0)
    top = [place for place in places if len(place) == 1]
    chosen = [*top, *rng.sample(places, min(len(places), _MOST_LEAVES))]
    for place in dict.fromkeys(chosen):
        shown = "".join(f"[{key!r}]" for key in place)
        yield f"data without {shown}", _changed(data, place, None, delete=True)
        for junk in _JUNK if len(place) == 1 else rng.sample(_JUNK, 3):
            yield f"data with {str(junk)[:40]!r} in {shown}", _changed(data, place, junk)
    if isinstance(data, dict):
        yield "data with an unknown key", {**data, "no_such_key_9f2c": 1}


def _changed(data: Any, place: tuple[Any, ...], value: Any, delete: bool = False) -> Any:
    again = copy.deepcopy(data)
    inner = again
    for key in place[:-1]:
        inner = inner[key]
    if delete:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return again


def malformed_schedules(subject: Subject) -> None:
    """Schedules of junk are refused or found invalid; a tampered one is noticed."""
    env = subject.make()
    if not (callable(getattr(env, "schedule", None)) and callable(getattr(env, "validate", None))):
        raise Skipped("there are no methods schedule() and validate(schedule); switches off checking schedules")
    finish(env, _PLAYED[0])
    data = plain_schedule(env.schedule())
    read = env.read_schedule if callable(getattr(env, "read_schedule", None)) else lambda given: given
    for told, mutant in _mutants(data):
        _accepts(f"a schedule of {told}", lambda mutant=mutant: _complaints(env, read(mutant)))
    accepted = 0
    for seed in _PLAYED:  # an episode may end before it has a schedule to speak of
        if seed != _PLAYED[0]:
            finish(env, seed)
            data = plain_schedule(env.schedule())
        for mutant in _tampered(data):
            try:
                schedule = read(mutant)
            except ValueError:
                continue
            accepted += 1
            if _is_doubted(env, schedule):
                return
    if accepted:
        raise Broken(
            f"validate found nothing wrong with any of {accepted} schedules in which a number was changed: expected it "
            "to work the schedule out again"
        )


def _tampered(data: Any) -> Iterator[Any]:
    """A schedule with a number changed; those of the instance last, since another one may have the same schedule."""
    numbers = [place for place in _leaves(data) if _is_number(_at(data, place)) and place != ("objective",)]
    rng = random.Random(1)
    for of_instance in (False, True):
        places = [place for place in numbers if (place[0] == "instance") == of_instance]
        for place in rng.sample(places, min(len(places), _MOST_NUMBERS)):
            yield from (_changed(data, place, _at(data, place) + shift) for shift in (1, -1, 1000))


def _complaints(env: Any, schedule: Any) -> list[str]:
    found = env.validate(schedule)
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise Broken(f"validate(schedule) returned {found!r:.100}, expected a list of texts")
    return found


def _is_doubted(env: Any, schedule: Any) -> bool:
    try:
        return bool(_complaints(env, schedule))
    except ValueError:
        return True


def _at(data: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        data = data[key]
    return data


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def appraisal(subject: Subject) -> None:
    """appraise(schedule) works out the objective of the episode from its schedule alone."""
    env = subject.make()
    if not (callable(getattr(env, "appraise", None)) and callable(getattr(env, "schedule", None))):
        raise Skipped("there is no method appraise(schedule); switches off agents that propose whole schedules")
    for seed in (7, 8):
        objective = finish(env, seed).get("objective")
        schedule = env.schedule()
        if callable(getattr(env, "read_schedule", None)):
            schedule = env.read_schedule(plain_schedule(schedule))
        try:
            found, metrics = env.appraise(schedule)
        except NotImplementedError:
            raise Skipped(
                "appraise(schedule) is not implemented under these options: schedules have to be played"
            ) from None
        if found != objective:
            raise Broken(f"appraise(schedule) says {found}, but info['objective'] of its episode was {objective}")
        if not isinstance(metrics, Mapping):
            raise Broken(f"appraise(schedule) gave metrics of type {type(metrics).__name__}, expected a dictionary")


def plain_schedule(outcome: Any) -> Any:
    """A schedule as the JSON data that it is saved as."""
    data = outcome.to_dict() if hasattr(outcome, "to_dict") else outcome
    try:
        return json.loads(json.dumps(data, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Broken(
            f"the schedule cannot be saved as JSON ({error}), expected plain data or a method to_dict()"
        ) from None
