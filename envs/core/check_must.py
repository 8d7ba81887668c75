"""The rules that every environment must keep: what it shows, what it says at the end, and that it can be replayed."""

from __future__ import annotations

import importlib
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import env_checker
from numpy.typing import NDArray

from .check_play import (
    Broken,
    Skipped,
    Subject,
    Trace,
    arrays_in,
    at_random,
    describe,
    first_difference,
    record,
    the_same,
)
from .errors import FieldError, MissingExtraError
from .objective import shown
from .random import RESERVED_SEEDS
from .spec import EdgeType, Feature, ObservationSpec, Sizes

FINAL_KEYS = ("objective", "metrics", "seed", "instance")
_FLATTEN_ADVICE = "has an unconventional shape (neither an image, nor a 1D vector). We recommend you to flatten"
_OTHER_SEED = 2_024


def objective(subject: Subject) -> None:
    """metadata['objective'] names the objective, its unit and its sense."""
    found = subject.env.metadata.get("objective")
    if not isinstance(found, Mapping):
        raise Broken(
            f"metadata['objective'] is {found!r}, expected {{'name': ..., 'unit': ..., 'sense': 'min' or 'max'}}"
        )
    for key in ("name", "unit"):
        if not (isinstance(found.get(key), str) and found[key]):
            raise Broken(f"metadata['objective'][{key!r}] is {found.get(key)!r}, expected a text")
    if found.get("sense") not in ("min", "max"):
        raise Broken(f"metadata['objective']['sense'] is {found.get('sense')!r}, expected 'min' or 'max'")
    try:
        shown(found)
    except FieldError as error:
        raise Broken(str(error)) from None


def spec(subject: Subject) -> None:
    """observation_spec survives JSON and has one hash."""
    found = getattr(subject.env, "observation_spec", None)
    if not isinstance(found, ObservationSpec):
        raise Broken(f"observation_spec is {type(found).__name__}, expected an ObservationSpec")
    again = ObservationSpec.from_dict(json.loads(json.dumps(found.to_dict())))
    if again != found or again.hash != found.hash:
        raise Broken("observation_spec does not survive to_dict, JSON and from_dict; expected tuples of plain values")
    other = subject.make().observation_spec
    if other.hash != found.hash:
        raise Broken("observation_spec of a second copy has another hash, expected one that depends on the id alone")


def spaces_(subject: Subject) -> None:
    """The spaces are those that the spec describes."""
    space, action_space = subject.env.observation_space, subject.env.action_space
    if not (isinstance(action_space, spaces.Discrete) and action_space.start == 0):
        raise Broken(f"action_space is {action_space}, expected Discrete(number of action slots), from 0")
    if not isinstance(space, spaces.Dict):
        raise Broken(f"observation_space is a {type(space).__name__}, expected a flat Dict")
    expected = _expected_space(subject.observation_spec, space)
    for key in expected:
        _compare_boxes(key, space[key], expected[key])
    if space["action_mask"].shape != (int(action_space.n),):
        raise Broken(f"there are {action_space.n} actions, but action_mask has shape {space['action_mask'].shape}")


def _expected_space(spec: ObservationSpec, space: spaces.Dict) -> spaces.Dict:
    """The space that the spec describes, with the room that `space` has."""
    missing, extra = set(spec.keys()) - set(space), set(space) - set(spec.keys())
    if missing or extra:
        raise Broken(f"observation_space lacks {sorted(missing)} and has {sorted(extra)} that the spec does not name")

    def length(key: str, axis: int) -> int:
        shape = space[key].shape
        if shape is None or len(shape) <= axis:
            raise Broken(
                f"observation_space[{key!r}] has shape {shape}, expected an array with {axis + 1} axes or more"
            )
        return shape[axis]

    sizes = Sizes(
        nodes={node.name: length(f"node_mask/{node.name}", 0) for node in spec.nodes},
        edges={edge.name: length(f"edges/{edge.name}", 1) for edge in spec.edges},
        actions=length("action_mask", 0),
    )
    return spec.space(sizes)


def _compare_boxes(key: str, found: spaces.Space[Any], expected: spaces.Space[Any]) -> None:
    assert isinstance(expected, spaces.Box)
    if not isinstance(found, spaces.Box):
        raise Broken(f"observation_space[{key!r}] is a {type(found).__name__}, expected a Box")
    for name in ("shape", "dtype"):
        if getattr(found, name) != getattr(expected, name):
            raise Broken(
                f"observation_space[{key!r}] has {name} {getattr(found, name)}, expected {getattr(expected, name)}"
            )
    for name in ("low", "high"):
        if not np.array_equal(getattr(found, name), getattr(expected, name)):
            raise Broken(f"observation_space[{key!r}].{name} differs from the bounds that the spec gives its features")


def episode(subject: Subject) -> None:
    """Episodes of random legal actions run to their end."""
    try:
        traces = subject.traces
    except Skipped as error:
        raise Broken(f"{error}; expected an episode of random legal actions to run to its end") from error.__cause__
    for trace in traces:
        if trace.endless:
            raise Broken(
                f"the episode of seed {trace.seed} did not end in {len(trace.actions)} random legal actions, "
                "expected it to end by itself or to be truncated"
            )


def observations(subject: Subject) -> None:
    """Observations have the spec's keys, shapes and types and lie inside its bounds."""
    expected = _expected_space(subject.observation_spec, subject.env.observation_space)
    for trace, step, observation in _observations(subject):
        where = f"{_when(step)} of seed {trace.seed}"
        if set(observation) != set(expected):
            raise Broken(f"{where} the observation has the keys {sorted(observation)}, expected {sorted(expected)}")
        for key, box in expected.items():
            assert isinstance(box, spaces.Box)
            _check_array(
                f"{where} observation[{key!r}]", observation[key], box, _columns(subject.observation_spec, key)
            )


def _check_array(where: str, array: Any, box: spaces.Box, features: tuple[Feature, ...]) -> None:
    if not isinstance(array, np.ndarray):
        raise Broken(f"{where} is a {type(array).__name__}, expected an array")
    if array.shape != box.shape or array.dtype != box.dtype:
        raise Broken(f"{where} is {array.dtype} {array.shape}, expected {box.dtype} {box.shape}")
    outside = ~((array >= box.low) & (array <= box.high))  # NaN is outside, too
    if outside.any():
        at = tuple(int(i) for i in np.argwhere(outside)[0])
        name = f" ({features[at[-1] % len(features)].name!r})" if features else ""
        raise Broken(f"{where} holds {array[at]} at {at}{name}, expected {box.low[at]} to {box.high[at]}")


def _columns(spec: ObservationSpec, key: str) -> tuple[Feature, ...]:
    """The features of the last axis of a key, () where it has none."""
    kind, _, name = key.partition("/")
    if key == "globals":
        return spec.globals
    if key == "actions/features":
        return spec.action_features
    groups = {"nodes": spec.nodes, "edge_features": spec.edges, "series": spec.series}.get(kind, ())
    return next((group.features for group in groups if group.name == name), ())


def padding(subject: Subject) -> None:
    """Padding is zero or -1 and counted out, special action slots are the last."""
    spec = subject.observation_spec
    for trace, step, observation in _observations(subject):
        where = f"{_when(step)} of seed {trace.seed}"
        for node in spec.nodes:
            absent = observation[f"node_mask/{node.name}"] == 0
            _expect_zero(where, observation, f"nodes/{node.name}", absent)
            for series in spec.series:
                if series.node == node.name:
                    _expect_zero(where, observation, f"series/{series.name}", absent)
        for edge in spec.edges:
            _check_edges(where, observation, edge.name, edge.source, edge.target)
            if edge.features:
                absent = observation[f"edges/{edge.name}"][0] < 0
                _expect_zero(where, observation, f"edge_features/{edge.name}", absent)
        _check_slots(where, observation, spec)


def _expect_zero(where: str, observation: dict[str, Any], key: str, absent: NDArray[np.bool_]) -> None:
    rows = np.flatnonzero(absent & (observation[key] != 0).any(axis=-1))
    if len(rows):
        raise Broken(f"{where} row {rows[0]} of {key!r} is padding, but not all zero")


def _check_edges(where: str, observation: dict[str, Any], name: str, source: str, target: str) -> None:
    edges = observation[f"edges/{name}"]
    half = np.flatnonzero((edges[0] < 0) != (edges[1] < 0))
    if len(half):
        raise Broken(
            f"{where} column {half[0]} of 'edges/{name}' is {edges[:, half[0]].tolist()}, expected two nodes or two -1"
        )
    real = edges[:, edges[0] >= 0]
    for row, node in zip(real, (source, target), strict=True):
        mask = observation[f"node_mask/{node}"]
        wrong = row[(row >= len(mask)) | (mask[np.minimum(row, len(mask) - 1)] == 0)]
        if len(wrong):
            raise Broken(f"{where} 'edges/{name}' refers to {node} {wrong[0]}, which node_mask/{node} counts out")


def _check_slots(where: str, observation: dict[str, Any], spec: ObservationSpec) -> None:
    """Special slots are the last and refer to no node; of the others, those that refer to none are padding."""
    nodes, legal = observation["actions/nodes"], observation["action_mask"] != 0
    for column, node in enumerate(spec.action_nodes):
        referred = nodes[:, column]
        mask = observation[f"node_mask/{node}"]
        wrong = np.flatnonzero((referred >= 0) & (mask[np.clip(referred, 0, len(mask) - 1)] == 0))
        if len(wrong):
            raise Broken(
                f"{where} action slot {wrong[0]} refers to {node} {referred[wrong[0]]}, "
                f"which node_mask/{node} counts out"
            )
    ordinary = len(legal) - len(spec.special_actions)
    refers = (nodes >= 0).any(axis=1)
    if refers[ordinary:].any():
        raise Broken(f"{where} a slot of {spec.special_actions} refers to a node, expected them last and without nodes")
    if spec.action_nodes:
        empty = ~refers
        empty[ordinary:] = False
        if (empty & legal).any():
            raise Broken(f"{where} action {np.flatnonzero(empty & legal)[0]} is legal, but its slot refers to no node")
        _expect_zero(where, observation, "actions/features", empty)


def static_features(subject: Subject) -> None:
    """What the spec calls static is fixed for the episode."""
    spec = subject.observation_spec
    for trace in subject.traces:
        for node in spec.nodes:
            who = _row_of(f"node_mask/{node.name}")
            _expect_constant(trace, f"nodes/{node.name}", node.features, who)
        _expect_constant(trace, "globals", spec.globals, lambda o: np.zeros(1, dtype=np.int32))
        for series in spec.series:
            columns = series.features * series.steps
            _expect_constant(trace, f"series/{series.name}", columns, _row_of(f"node_mask/{series.node}"))
        for edge in spec.edges:
            if not edge.dynamic:
                _expect_constant_edges(trace, edge)
            if edge.features:
                who = _ends_of(f"edges/{edge.name}")
                _expect_constant(trace, f"edge_features/{edge.name}", edge.features, who)
        _expect_constant(trace, "actions/features", spec.action_features, lambda o: _subjects_of_slots(spec, o))


def _row_of(mask: str) -> Callable[[dict[str, Any]], NDArray[Any]]:
    """Whom the rows of a type of nodes are about: row i always about node i, where that is counted in."""
    return lambda observation: (observation[mask][:, None] != 0).astype(np.int32) - 1


def _ends_of(edges: str) -> Callable[[dict[str, Any]], NDArray[Any]]:
    """Which edges the rows of features are about: those from and to the same nodes are the same."""
    return lambda observation: observation[edges].T


def _subjects_of_slots(spec: ObservationSpec, observation: dict[str, Any]) -> NDArray[Any]:
    """What the action slots are about: the nodes they refer to; special slots, and slots without nodes, themselves."""
    nodes = observation["actions/nodes"]
    itself = np.full(len(nodes), -1 if spec.action_nodes else 0, dtype=np.int32)
    itself[len(nodes) - len(spec.special_actions) :] = 0
    return np.column_stack([nodes, itself])


def _expect_constant(
    trace: Trace,
    key: str,
    features: tuple[Feature, ...],
    subjects: Callable[[dict[str, Any]], NDArray[Any]],
) -> None:
    """Static columns of a row hold what they held when the row was first about what it is about.

    `subjects` says of each row of an observation what it is about, by numbers; all negative where the row is padding.
    """
    static = np.array([not feature.dynamic for feature in features], dtype=np.bool_)
    if not static.any():
        return
    first = trace.turns[0].observation[key].copy()
    about = np.array(subjects(trace.turns[0].observation))
    for step, turn in enumerate(trace.turns):
        now, who = turn.observation[key], subjects(turn.observation)
        present: NDArray[np.bool_] = np.asarray((who >= 0).any(axis=-1))
        other = present & (who != about).any(axis=-1)
        first[other], about[other] = now[other], who[other]
        changed = (now != first) & static & present[..., None]
        if changed.any():
            column = int(np.argwhere(changed)[0][-1])
            raise Broken(
                f"feature {features[column].name!r} of {key!r} is called static (dynamic=False), but it changed "
                f"{_when(step)} of seed {trace.seed}"
            )


def _expect_constant_edges(trace: Trace, edge: EdgeType) -> None:
    """The edges of the reset are there, in their columns, as long as both their nodes are; no other one comes."""
    key = f"edges/{edge.name}"
    first = trace.turns[0].observation[key]
    known = first[0] >= 0
    ends = np.where(known, first, 0)
    for step, turn in enumerate(trace.turns):
        now = turn.observation[key]
        there = now[0] >= 0
        source, target = (turn.observation[f"node_mask/{name}"] for name in (edge.source, edge.target))
        both = known.copy()
        both[known] = (source[ends[0, known]] != 0) & (target[ends[1, known]] != 0)
        what = None
        if (there & known & (now != first).any(axis=0)).any():
            what = "an edge became another"
        elif (there & ~known).any():
            what = "an edge came that was not there at the reset"
        elif (both & ~there).any():
            what = "an edge went whose nodes stay"
        if what is not None:
            raise Broken(f"{key!r} is called static (dynamic=False), but {what} {_when(step)} of seed {trace.seed}")


def masks(subject: Subject) -> None:
    """The observation, info and action_masks() agree on the mask."""
    if not callable(getattr(subject.env, "action_masks", None)):
        raise Broken(
            "there is no method action_masks(), expected one that returns bool [A]: which actions are legal now"
        )
    for trace in subject.traces:
        for step, turn in enumerate(trace.turns):
            where = f"{_when(step)} of seed {trace.seed}"
            mask = turn.observation["action_mask"]
            given = turn.info.get("action_mask")
            if not (isinstance(given, np.ndarray) and given.dtype == np.int8 and np.array_equal(given, mask)):
                raise Broken(f"{where} info['action_mask'] is {given!r}, expected observation['action_mask'] again")
            if not (isinstance(turn.mask, np.ndarray) and turn.mask.dtype == np.bool_):
                kind = turn.mask.dtype if isinstance(turn.mask, np.ndarray) else type(turn.mask).__name__
                raise Broken(f"{where} action_masks() is {kind}, expected an array of bool")
            if not np.array_equal(turn.mask, mask != 0):
                raise Broken(f"{where} action_masks() differs from observation['action_mask']")


def legal_actions(subject: Subject) -> None:
    """An action is legal in every state that is not the last."""
    for trace in subject.traces:
        for step, turn in enumerate(trace.turns):
            if not turn.ended and not turn.observation["action_mask"].any():
                raise Broken(f"{_when(step)} of seed {trace.seed} no action is legal, but the episode goes on")


def flags(subject: Subject) -> None:
    """Rewards are finite numbers, terminated and truncated Python's bool."""
    for trace in subject.traces:
        for step, turn in enumerate(trace.turns[1:], 1):
            for name in ("terminated", "truncated"):
                if not isinstance(getattr(turn, name), bool):
                    kind = f"{type(getattr(turn, name)).__module__}.{type(getattr(turn, name)).__name__}"
                    raise Broken(
                        f"{name} is a {kind} {_when(step)}, expected Python's bool (Gymnasium tests 'is False')"
                    )
            if isinstance(turn.reward, bool) or not isinstance(turn.reward, int | float | np.integer | np.floating):
                raise Broken(f"the reward is a {type(turn.reward).__name__} {_when(step)}, expected a number")
            if not math.isfinite(turn.reward):
                raise Broken(
                    f"the reward is {turn.reward} {_when(step)} of seed {trace.seed}, expected a finite number"
                )


def end_of_episode(subject: Subject) -> None:
    """The last info holds objective, metrics, seed and instance as plain data."""
    for trace in subject.whole:
        for key in FINAL_KEYS:
            if key not in trace.final:
                raise Broken(f"info has no {key!r} at the end of an episode, expected {', '.join(FINAL_KEYS)}")
        value = trace.final["objective"]
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(float(value)):
            raise Broken(f"info['objective'] is {value!r}, expected a finite number")
        if not isinstance(trace.final["metrics"], Mapping):
            raise Broken(f"info['metrics'] is a {type(trace.final['metrics']).__name__}, expected a dictionary")
        for name, metric in trace.final["metrics"].items():
            plain = isinstance(metric, bool | int | str) or (isinstance(metric, float) and math.isfinite(metric))
            if not (isinstance(name, str) and plain):
                raise Broken(
                    f"info['metrics'][{name!r}] is {metric!r} ({type(metric).__name__}), "
                    "expected a plain finite number, a bool or a text, so that JSON can hold it"
                )
        if type(trace.final["seed"]) is not int or trace.final["seed"] != trace.seed:
            raise Broken(
                f"info['seed'] is {trace.final['seed']!r} after reset(seed={trace.seed}), expected that integer"
            )
        if not isinstance(trace.final["instance"], str):
            raise Broken(f"info['instance'] is {trace.final['instance']!r}, expected the instance's name as a text")


def rewards(subject: Subject) -> None:
    """The rewards sum to the objective over reward_scale, with the sense's sign."""
    sign = -1.0 if subject.sense == "min" else 1.0
    for trace in subject.whole:
        scale = float(trace.final.get("reward_scale", 1.0))
        if not (math.isfinite(scale) and scale > 0):
            raise Broken(f"info['reward_scale'] is {scale}, expected a finite number above 0")
        if "objective" not in trace.final:
            raise Skipped("info has no 'objective' to compare the rewards with")
        expected = sign * float(trace.final["objective"]) / scale
        if not math.isclose(trace.total_reward, expected, rel_tol=1e-6, abs_tol=1e-6):
            raise Broken(
                f"the rewards of seed {trace.seed} sum to {trace.total_reward:.9g}, expected {expected:.9g}: "
                f"{'minus ' if sign < 0 else ''}the objective {trace.final['objective']} over reward_scale {scale:g}"
            )


def determinism(subject: Subject) -> None:
    """The same seed and actions give the same trace."""
    for trace in subject.traces[:2]:
        fresh = record(subject.make(), trace.seed, the_same(trace.actions))
        _expect_same(trace, fresh, f"seed {trace.seed} and the same actions on a fresh copy")
    trace = subject.traces[0]
    env = subject.make()
    record(env, _OTHER_SEED, the_same(subject.traces[1].actions[:1]))
    _expect_same(trace, record(env, trace.seed, the_same(trace.actions)), "a reset in the middle of another episode")


def _expect_same(trace: Trace, other: Trace, what: str) -> None:
    found = first_difference(trace, other)
    if found:
        raise Broken(f"{what} gave another trace: {found} differs, expected the same seed and actions to give the same")


def replay(subject: Subject) -> None:
    """Later episodes can be replayed from their info['seed'] alone."""

    def second_episode() -> Trace:
        env = subject.make()
        record(env, 5, at_random(5))
        return record(env, None, at_random(6))

    later = second_episode()
    if not later.ended:
        raise Skipped("a second episode did not come to an end")
    seed = later.final.get("seed")
    if type(seed) is not int or not RESERVED_SEEDS <= seed < 2**63:
        raise Broken(
            f"info['seed'] of a second episode (reset without a seed) is {seed!r}, expected the integer "
            "that replays it, from 2**62 to 2**63 - 1 so that no typed seed meets it"
        )
    found = first_difference(later, second_episode())
    if found:
        raise Broken(f"two copies reset with the same seed part in their second episodes: {found} differs")
    found = first_difference(later, record(subject.make(), seed, the_same(later.actions)))
    if found:
        raise Broken(f"a second episode, replayed from its info['seed'] alone, is another: {found} differs")


def fresh_arrays(subject: Subject) -> None:
    """What a caller receives is new at each call and theirs to change."""
    trace = subject.traces[0]
    seen: dict[int, str] = {}
    for step, turn in enumerate(trace.turns):
        own: set[int] = set()
        for name, array in arrays_in(turn.received):
            if array.size == 0:
                continue
            label = f"{('the observation', 'info', 'action_masks()')[int(name[1])]}{name[3:]}"
            address = array.__array_interface__["data"][0]
            if address in seen:
                raise Broken(
                    f"{label} {_when(step)} shares memory with {seen[address]}, expected new arrays at each call"
                )
            own.add(address)
        seen.update(dict.fromkeys(own, f"what was handed out {_when(step)}"))
    vandal = record(subject.make(), trace.seed, the_same(trace.actions), vandal=True)
    found = first_difference(trace, vandal)
    if found:
        raise Broken(
            f"overwriting received arrays changed the episode: {found} differs, expected them to be the caller's"
        )


def gymnasium_check(subject: Subject) -> None:
    """gymnasium's check_env passes without a warning."""

    def run(skip_render: bool) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            env_checker.check_env(subject.make(), skip_render_check=skip_render)
        return [" ".join(str(warning.message).split()) for warning in caught]

    try:
        try:
            said = run(skip_render=False)
        except MissingExtraError:  # the rule "render" reports it
            said = run(skip_render=True)
    except Exception as error:
        raise Broken(f"gymnasium's check_env raised {describe(error)}") from error
    if said:
        raise Broken(f"gymnasium's check_env warned: {said[0][:300]}")


def sb3_check(subject: Subject) -> None:
    """stable-baselines3's check_env passes; only its advice to flatten is accepted."""
    try:
        checker = importlib.import_module("stable_baselines3.common.env_checker")
    except ImportError:
        raise Skipped("stable-baselines3 is not installed; its check_env was not run") from None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            checker.check_env(subject.make(), warn=True)
        except Exception as error:
            raise Broken(f"stable-baselines3's check_env raised {describe(error)}") from error
    said = [" ".join(str(warning.message).split()) for warning in caught]
    said = [text for text in said if _FLATTEN_ADVICE not in text]
    if said:
        raise Broken(f"stable-baselines3's check_env warned: {said[0][:300]}")


def _observations(subject: Subject) -> Iterator[tuple[Trace, int, dict[str, Any]]]:
    for trace in subject.traces:
        for step, turn in enumerate(trace.turns):
            yield trace, step, turn.observation


def _when(step: int) -> str:
    return "at the reset" if step == 0 else f"after step {step}"
