"""The contract's rules: they pass what keeps the contract and name what breaks it."""

import copy
import json
import re
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from makespan.agents.check import RULES as PLAYERS
from makespan.cli.check import run
from makespan.envs.core import check_play
from makespan.envs.core.check import RULES, check_contract, run_rule
from makespan.envs.core.check_play import Subject
from makespan.envs.core.errors import UnknownNameError, UserError
from makespan.envs.core.ids import find_env
from makespan.envs.core.spec import Feature, ObservationSpec
from makespan.envs.job_shop.env import JobShopEnv, JobShopVectorEnv
from support.weighted_tardiness import SUITE, Good, problem

BROKEN = "test-check/Broken-v0"


@pytest.fixture
def register():
    """Registers environments for one test."""
    registered = []

    def add(creator, env_id=BROKEN, **more):
        gymnasium.register(id=env_id, entry_point=creator, **more)
        registered.append(env_id)
        return env_id

    yield add
    for env_id in registered:
        del gymnasium.registry[env_id]


def outcomes(findings):
    return {finding.rule: finding.outcome for finding in findings}


@pytest.mark.parametrize("options", [{}, {"law": "bernoulli", "p": 0.005, "on_breakdown": "scrap"}])
def test_the_job_shop_keeps_the_contract(options):
    findings = check_contract("makespan/JobShop-v0", options)
    skipped = {"appraisal", "foreseeable"} if "law" in options else {"appraisal"}
    assert {finding.rule for finding in findings if finding.outcome != "passed"} == skipped
    assert [finding for finding in findings if finding.outcome == "failed"] == []
    assert [finding.rule for finding in findings] == [rule.name for rule in RULES]


def test_a_plain_environment_keeps_the_contract(register):
    findings = check_contract(register(Good))
    assert [finding for finding in findings if finding.outcome == "failed"] == []
    skipped = {finding.rule: finding.text for finding in findings if finding.outcome == "skipped"}
    assert set(skipped) == {
        "sizes", "snapshot", "imagine", "vector", "instance files", "malformed instances", "foreseeable", "rewriting",
        "engine copy", "batch", "vector illegal", "vector snapshot", "appraisal",
    }  # fmt: skip
    assert "switches off" in skipped["imagine"]


class Bare(gymnasium.Env):
    """The first line of the contract alone, around the example's environment."""

    metadata = {"render_modes": [], "objective": Good.metadata["objective"]}
    observation_spec = Good.observation_spec

    def __init__(self):
        self._inner = Good(jobs=4)
        self.observation_space, self.action_space = self._inner.observation_space, self._inner.action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        observation, info = self._inner.reset(seed=seed)
        return observation, {"action_mask": info["action_mask"]}

    def step(self, action):
        observation, reward, terminated, truncated, info = self._inner.step(action)
        kept = {key: info[key] for key in ("objective", "metrics", "seed", "instance", "action_mask") if key in info}
        return observation, reward * self._inner._scale, terminated, truncated, kept

    def action_masks(self):
        return self._inner.action_masks()


def test_the_first_line_of_the_contract_is_enough(register):
    """All that may be offered is missing; each rule about it says what that switches off."""
    findings = check_contract(register(Bare))
    assert [finding for finding in findings if finding.outcome == "failed"] == []
    skipped = [finding for finding in findings if finding.outcome == "skipped"]
    assert {finding.rule for finding in skipped} == {
        "elapsed", "illegal actions", "instances", "sizes", "snapshot", "imagine", "vector", "bounds", "schedule",
        "drawing", "render", "options", "instance files", "malformed instances", "foreseeable", "rewriting",
        "engine copy", "batch", "vector illegal", "vector snapshot", "appraisal", "malformed schedules",
    }  # fmt: skip
    assert all("switches off" in one.text or "slow" in one.text for one in skipped if one.rule != "options")


# --- environments that break one rule each ----------------------------------------------------------------------------


def observing(change):
    """An environment whose observations `change(env, observation)` alters."""

    class Changed(Good):
        def _observe(self):
            observation = super()._observe()
            change(self, observation)
            return observation

    return Changed


def reporting(change):
    """An environment whose steps `change(observation, reward, terminated, truncated, info)` returns."""

    class Changed(Good):
        def step(self, action):
            return change(*super().step(action))

    return Changed


def at_the_end(change):
    """An environment whose last info `change(info)` alters."""

    def alter(observation, reward, terminated, truncated, info):
        if terminated:
            change(info)
        return observation, reward, terminated, truncated, info

    return reporting(alter)


def with_spec(**changes):
    return type("Changed", (Good,), {"observation_spec": replace(Good.observation_spec, **changes)})


def with_attributes(**attributes):
    return type("Changed", (Good,), attributes)


def put(key, at, value):
    def change(env, observation):
        observation[key][at] = value

    return observing(change)


def with_objective(objective):
    return with_attributes(metadata={**Good.metadata, "objective": objective})


def one_legal_less(env, observation):
    if observation["action_mask"].sum() > 1:
        observation["action_mask"][observation["action_mask"].argmax()] = 0


def mask_of_int8(self):
    return Good.action_masks(self).astype(np.int8)


def other_info_mask(observation, reward, terminated, truncated, info):
    return observation, reward, terminated, truncated, {**info, "action_mask": np.ones_like(info["action_mask"])}


def missing_info_mask(observation, reward, terminated, truncated, info):
    del info["action_mask"]
    return observation, reward, terminated, truncated, info


def nothing_legal(env, observation):
    if env._time > 0:
        for key, blank in (("action_mask", 0), ("actions/nodes", -1), ("actions/features", 0)):
            observation[key][:] = blank


def outside_bounds(env, observation):
    observation["actions/features"][observation["action_mask"] == 1, 3] = 5.0


def not_a_number(env, observation):
    observation["globals"][1] = np.nan


def other_type(env, observation):
    observation["globals"] = observation["globals"].astype(np.float64)


def other_shape(env, observation):
    observation["globals"] = observation["globals"][:2]


def missing_key(env, observation):
    del observation["edges/runs_on"]


def static_that_moves(env, observation):
    observation["nodes/job"][:, 2] = min(1.0, env._time / 1000)


def dirty_padding(env, observation):
    observation["actions/features"][observation["action_mask"] == 0, 0] = 1.0


def half_an_edge(env, observation):
    observation["edges/runs_on"][1, 0] = -1


def edge_to_nowhere(env, observation):
    observation["node_mask/machine"][0] = 0
    observation["nodes/machine"][:] = 0


def slot_without_a_node(env, observation):
    observation["actions/nodes"][:] = -1


class Scratch(Good):
    """Hands out one buffer again and again."""

    def _observe(self):
        observation = super()._observe()
        if not hasattr(self, "_kept"):
            self._kept = observation
        for key, value in observation.items():
            self._kept[key][...] = value
        return dict(self._kept)


class Trusting(Good):
    """Reads its state from what it handed out."""

    def _observe(self):
        self._shown = super()._observe()
        return self._shown

    def step(self, action):
        if self._shown["nodes/job"].max() > 64:
            self._cost += 1
        return super().step(action)


class Forgetful(Good):
    """The world is not the seed's alone."""

    def _choose(self, name):
        instance = super()._choose(name)
        shift = int(np.random.default_rng().integers(1, 1000))
        return replace(instance, due_dates=tuple(due + shift for due in instance.due_dates))


class Carrying(Good):
    """What an episode leaves behind changes the next one."""

    _resets = 0

    def _choose(self, name):
        self._resets += 1
        instance = super()._choose(name)
        return replace(instance, due_dates=tuple(due + 7 * self._resets for due in instance.due_dates))


class SmallSeeds(Good):
    """Later episodes meet seeds that users type."""

    def reset(self, *, seed=None, options=None):
        gymnasium.Env.reset(self, seed=seed)
        return super().reset(seed=int(self.np_random.integers(1000)) if seed is None else seed, options=options)


class Drained(Good):
    """Later episodes come from a generator, not from the seed that they report."""

    def _choose(self, name):
        if self._seed >= 2**62:
            return replace(problem.random_instance(self.jobs, int(self.np_random.integers(1000))), name="x")
        return super()._choose(name)


class Unsettled(Good):
    """Draws anew in each copy what the second episode is."""

    def reset(self, *, seed=None, options=None):
        if seed is None:
            seed = 2**62 + int(np.random.default_rng().integers(2**40))
        return super().reset(seed=seed, options=options)


class Unseeded(Good):
    """Never tells Gymnasium's generator the seed."""

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        self._np_random = np.random.default_rng()
        return observation, info


class Lenient(Good):
    """Lets illegal actions pass."""

    def _illegal(self, action, count):
        return self._report(self._cost, 0, False)


class Late(Good):
    """Refuses, but after the clock has moved."""

    def _illegal(self, action, count):
        self._time += 1
        return super()._illegal(action, count)


class Cheap(Good):
    """An illegal action is the cheapest way out."""

    def _illegal(self, action, count):
        if self.on_illegal == "raise":
            return super()._illegal(action, count)
        self._cost = 0
        return self._report(0, 0, True, illegal=True)


class AnyName(Good):
    """Takes names that nobody knows."""

    def _choose(self, name):
        return super()._choose(name if name in problem.NAMED else None)


class OtherInstance(Good):
    """Plays another instance than was asked for."""

    def _choose(self, name):
        return super()._choose(name and "tiny5")


class PerInstance(Good):
    """A spec that counts the jobs."""

    def __init__(self, instance="tiny5", **options):
        super().__init__(**options)
        count = len(problem.NAMED[instance][0].times)
        features = tuple(Feature(f"job_{job}") for job in range(count))
        self.observation_spec = replace(Good.observation_spec, globals=features)


class Snapshots(Good):
    """Snapshots that hold only half of the state."""

    def snapshot(self):
        return self._time

    def restore(self, snapshot):
        self._time = snapshot


class Eternal(Good):
    """Never ends."""

    def step(self, action):
        observation, reward, *_ = super().step(action)
        if not observation["action_mask"].any():
            observation, _ = self.reset(seed=self._seed)
        return observation, reward, False, False, {"action_mask": observation["action_mask"]}


class Crashing(Good):
    """Fails in the middle."""

    def step(self, action):
        raise RuntimeError("the machine is on fire")


class Comparing(Good):
    """Its flag is as much numpy's as the action is."""

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or action == -1, truncated, info


def shifted_target(env, observation):
    observation["edges/runs_on"][1, 0] = 0 if env._time == 0 else -1
    observation["edges/runs_on"][0, 0] = 0 if env._time == 0 else -1
    if env._time > 0:
        observation["edges/runs_on"][:, 1] = (2, 0)


def late_edge(env, observation):
    if env._time == 0:
        observation["edges/runs_on"][:, 0] = -1


def lost_edge(env, observation):
    if env._time > 0:
        observation["edges/runs_on"][:, 0] = -1


def with_edge_feature(value, dynamic, change=None):
    """An environment whose edges have the static feature "speed", `value(time)` of edges that may or may not move."""

    def fill(env, observation):
        edges = observation["edges/runs_on"]
        observation["edge_features/runs_on"] = np.zeros((edges.shape[1], 1), dtype=np.float32)
        if value is not None:
            observation["edge_features/runs_on"][edges[0] >= 0] = value(env._time)
        if change is not None:
            change(env, observation)

    features = (Feature("speed", high=4096.0, dynamic=False),)
    edge = replace(Good.observation_spec.edges[0], features=features, dynamic=dynamic)
    spec = replace(Good.observation_spec, edges=(edge,))
    return type("Changed", (observing(fill),), {"observation_spec": spec})


def static_action_that_moves(env, observation):
    observation["actions/features"][observation["action_mask"] == 1, 2] = 0.5 if env._time == 0 else 0.25


def with_special(change):
    spec = replace(Good.observation_spec, special_actions=("wait",))
    return type("Changed", (observing(change),), {"observation_spec": spec})


def static_special_that_moves(env, observation):
    """The last slot, as if it were WAIT."""
    observation["actions/nodes"][-1] = -1
    observation["actions/features"][-1] = 0
    observation["actions/features"][-1, 1] = env._time


CASES = {
    "no objective": (with_objective(None), "objective", "metadata\\['objective'\\] is None"),
    "no unit": (with_objective({"name": "x", "sense": "min"}), "objective", "'unit'\\] is None"),
    "a shown unit without a divisor": (
        with_objective({"name": "x", "unit": "y", "sense": "min", "shown_unit": "z"}),
        "objective", "shown_divisor.*None"),
    "a shown unit without a name": (
        with_objective({"name": "x", "unit": "y", "sense": "min", "shown_divisor": 2}),
        "objective", "shown_unit.*None"),
    "a shown unit of nothing": (
        with_objective({"name": "x", "unit": "y", "sense": "min", "shown_unit": "z", "shown_divisor": 0}),
        "objective", "shown_divisor.* is 0, expected a number above 0"),
    "a strange sense": (with_objective({"name": "x", "unit": "y", "sense": "least"}), "objective", "'least'"),
    "no spec": (with_attributes(observation_spec=None), "spec", "NoneType, expected an ObservationSpec"),
    "a spec of lists": (with_spec(globals=list(Good.observation_spec.globals)), "spec", "does not survive"),
    "other bounds": (
        with_spec(globals=(Feature("time", "x", 0, 2), *Good.observation_spec.globals[1:])),
        "spaces",
        "'globals'\\].high differs",
    ),
    "another feature": (with_spec(globals=(Feature("time"),)), "spaces", "shape \\(3,\\), expected \\(1,\\)"),
    "another key": (with_spec(edges=()), "spaces", "edges/runs_on"),
    "another start": (with_attributes(action_space=property(lambda self: spaces.Discrete(10, start=1),
                                                            lambda self, value: None)), "spaces", "from 0"),
    "a crash": (Crashing, "episode", "the machine is on fire"),
    "no end": (Eternal, "episode", "did not end in 300 random legal actions"),
    "outside bounds": (observing(outside_bounds), "observations", "'slack'.*expected -4"),
    "not a number": (observing(not_a_number), "observations", "nan .*'jobs_left'"),
    "float64": (observing(other_type), "observations", "float64 .*expected float32"),
    "another shape": (observing(other_shape), "observations", "\\(2,\\), expected float32 \\(3,\\)"),
    "a missing key": (observing(missing_key), "observations", "expected .*edges/runs_on"),
    "dirty padding": (observing(dirty_padding), "padding", "row \\d+ of 'actions/features' is padding"),
    "half an edge": (observing(half_an_edge), "padding", "expected two nodes or two -1"),
    "an edge to nowhere": (observing(edge_to_nowhere), "padding", "refers to machine 0"),
    "a slot without a node": (observing(slot_without_a_node), "padding", "is legal, but its slot refers to no node"),
    "a special slot with a node": (with_spec(special_actions=("stop",)), "padding", "expected them last"),
    "a static feature that moves": (observing(static_that_moves), "static features", "'due_date' of 'nodes/job'"),
    "a static edge that moves": (observing(shifted_target), "static features", "an edge became another"),
    "a static edge that comes": (observing(late_edge), "static features", "an edge came that was not there"),
    "a static edge that goes": (observing(lost_edge), "static features", "an edge went whose nodes stay"),
    "a static edge feature that moves": (
        with_edge_feature(lambda time: time, dynamic=False), "static features", "'speed' of 'edge_features/runs_on'"),
    "a static feature of an edge that may move": (
        with_edge_feature(lambda time: time, dynamic=True), "static features", "'speed' of 'edge_features/runs_on'"),
    "a static action feature that moves": (
        observing(static_action_that_moves), "static features", "'due_date' of 'actions/features'"),
    "a static feature of a special action that moves": (
        with_special(static_special_that_moves), "static features", "'weight' of 'actions/features'"),
    "another mask": (observing(one_legal_less), "masks", "action_masks\\(\\) differs"),
    "a mask of integers": (with_attributes(action_masks=mask_of_int8), "masks", "is int8, expected an array of bool"),
    "no masks": (with_attributes(action_masks=None), "masks", "no method action_masks"),
    "another mask in info": (reporting(other_info_mask), "masks", "info\\['action_mask'\\]"),
    "no mask in info": (reporting(missing_info_mask), "masks", "info\\['action_mask'\\] is None"),
    "nothing legal": (observing(nothing_legal), "legal actions", "no action is legal"),
    "numpy's truncated": (
        reporting(lambda o, r, end, cut, info: (o, r, end, np.bool_(cut), info)), "flags", "truncated is a numpy"),
    "numpy's terminated": (
        reporting(lambda o, r, end, cut, info: (o, r, np.bool_(end), cut, info)), "flags", "terminated is a numpy"),
    "numpy's flag for a sampled action": (Comparing, "flags", "terminated is a numpy"),
    "a reward that is no number": (
        reporting(lambda o, r, end, cut, info: (o, float("nan"), end, cut, info)), "flags", "the reward is nan"),
    "no objective at the end": (at_the_end(lambda info: info.pop("objective")), "end of episode", "no 'objective'"),
    "no metrics": (at_the_end(lambda info: info.pop("metrics")), "end of episode", "no 'metrics'"),
    "no instance": (at_the_end(lambda info: info.pop("instance")), "end of episode", "no 'instance'"),
    "NaN in metrics": (
        at_the_end(lambda info: info["metrics"].update(load=float("nan"))), "end of episode", "'load'\\] is nan"),
    "numpy in metrics": (
        at_the_end(lambda info: info["metrics"].update(load=np.float32(1))), "end of episode", "'load'.*float32"),
    "another seed": (at_the_end(lambda info: info.update(seed=7)), "end of episode", "after reset\\(seed=0\\)"),
    "numpy's seed": (at_the_end(lambda info: info.update(seed=np.int64(info["seed"]))), "end of episode", "'seed'"),
    "an infinite objective": (at_the_end(lambda info: info.update(objective=np.inf)), "end of episode", "finite"),
    "rewards of another sum": (
        reporting(lambda o, r, end, cut, info: (o, 2 * r, end, cut, info)), "rewards", "sum to .*minus the objective"),
    "rewards of another sign": (
        with_objective({"name": "x", "unit": "y", "sense": "max"}), "rewards", "expected .*: the objective"),
    "no scale": (at_the_end(lambda info: info.pop("reward_scale")), "rewards", "over reward_scale 1"),
    "chance": (Forgetful, "determinism", "on a fresh copy gave another trace"),
    "traces of the last episode": (Carrying, "determinism", "a reset in the middle"),
    "small seeds": (SmallSeeds, "replay", "no typed seed"),
    "seeds that do not replay": (Drained, "replay", "replayed from its info\\['seed'\\] alone"),
    "second episodes by chance": (Unsettled, "replay", "part in their second episodes"),
    "a buffer handed out": (Scratch, "fresh arrays", "shares memory"),
    "a caller's array read back": (Trusting, "fresh arrays", "overwriting received arrays"),
    "an unseeded generator": (Unseeded, "gymnasium check_env", "check_env raised"),
    "a negative time": (
        reporting(lambda o, r, end, cut, info: (o, r, end, cut, {**info, "elapsed": -1.0})), "elapsed", "is -1.0"),
    "a time that is no number": (
        reporting(lambda o, r, end, cut, info: (o, r, end, cut, {**info, "elapsed": float("inf")})), "elapsed", "inf"),
    "illegal actions pass": (Lenient, "illegal actions", "expected a ValueError"),
    "illegal actions leave traces": (Late, "illegal actions", "expected the state untouched"),
    "illegal actions pay": (Cheap, "illegal actions", "expected the illegal one below"),
    "any name": (AnyName, "instances", "was accepted"),
    "another instance": (OtherInstance, "instances", "played 'tiny5'"),
    "a spec with counts": (PerInstance, "sizes", "no counts"),
    "half a snapshot": (Snapshots, "snapshot", "differs after restore"),
    "no engine imagined": (with_attributes(imagine=lambda self, keys: []), "imagine", "expected a BatchEngine"),
    "a bound above": (with_attributes(bound=lambda self, name: 10**9), "bounds", "below bound\\(\\)"),
    "an infinite bound": (with_attributes(bound=lambda self, name: float("inf")), "bounds", "finite number or None"),
    "a best below the bound": (with_attributes(best_known=lambda self, name: -1), "bounds", "best_known.* is -1"),
    "complaints": (with_attributes(validate=lambda self, schedule: ["too late"]), "schedule", "too late"),
    "a schedule that is no data": (with_attributes(schedule=lambda self: {1j: 2}), "schedule", "as JSON"),
    "another objective": (with_attributes(schedule=lambda self: {"objective": -5}), "schedule", "objective is -5"),
    "no figure": (with_attributes(draw=lambda self, schedule: 3), "drawing", "expected a matplotlib figure"),
    "no chart": (with_attributes(chart=lambda self, schedule: 3), "drawing", "expected a Chart"),
    "no picture": (with_attributes(render=lambda self: None), "render", "gave NoneType"),
}  # fmt: skip


def test_static_features_may_differ_between_edges_and_between_actions(register):
    """They belong to the edge and to what the action is about, not to the column and the slot."""

    def turned(env, observation):
        """Other edges and other jobs at each step, in the same columns and slots, with features of their own."""
        edges, time = observation["edges/runs_on"], env._time
        edges[0, :3] = np.roll(np.arange(3), time)
        observation["edge_features/runs_on"] = edges[0, :, None].astype(np.float32) / 16
        for key in ("actions/nodes", "actions/features"):
            observation[key][:] = np.roll(observation[key], time, axis=0)
        observation["action_mask"][:] = np.roll(observation["action_mask"], time)

    finding = run_rule(
        next(rule for rule in RULES if rule.name == "static features"),
        Subject(find_env(register(with_edge_feature(None, dynamic=True, change=turned))), {}),
    )
    assert finding.outcome == "passed", finding


@pytest.mark.parametrize("case", CASES)
def test_a_broken_environment_is_caught_by_name(case, register, monkeypatch):
    monkeypatch.setattr(check_play, "MOST_STEPS", 300)
    creator, rule, message = CASES[case]
    subject = Subject(find_env(register(creator)), {})
    finding = run_rule(next(candidate for candidate in RULES if candidate.name == rule), subject)
    assert finding.outcome == "failed", finding
    assert re.search(message, finding.text), finding.text
    assert "\n" not in finding.text


def test_every_rule_has_an_environment_that_breaks_it():
    elsewhere = {"vector", "sb3 check_env", *SUITE}
    assert {rule for _, rule, _ in CASES.values()} | elsewhere == {rule.name for rule in RULES}


@pytest.mark.parametrize("case", ["rewards of another sum", "a buffer handed out", "a static feature that moves"])
def test_one_broken_rule_does_not_pull_others_down(case, register):
    creator, rule, _ = CASES[case]
    findings = check_contract(register(creator))
    failed = [finding.rule for finding in findings if finding.outcome == "failed"]
    # Gymnasium's own check knows of reused arrays, too.
    assert [name for name in failed if name != "gymnasium check_env"] == [rule]


def test_after_a_crash_every_rule_still_has_a_finding(register):
    findings = check_contract(register(Crashing))
    assert [finding.rule for finding in findings] == [rule.name for rule in RULES]
    assert outcomes(findings)["rewards"] == "skipped"


# --- engines ----------------------------------------------------------------------------------------------------------


class Leaking(JobShopEnv):
    """Its observation tells of the future: imagined copies show another present."""

    def imagine(self, keys):
        engine = super().imagine(keys)
        engine.block.views["globals"][:, 8] = np.asarray(keys) / 100
        return engine


class Foreseeing(JobShopEnv):
    """Imagines the future of the hidden seed."""

    def imagine(self, keys):
        return super().imagine(np.asarray(keys, dtype=np.uint64) ^ np.uint64(self.engine.seeds[0]))


class Meddling(JobShopEnv):
    """Playing what was imagined plays the real world."""

    def imagine(self, keys):
        engine = super().imagine(keys)
        self.step(np.flatnonzero(self.action_masks())[0])
        return engine


@pytest.mark.parametrize(
    "creator, message",
    [(Leaking, "another present in 'globals'"), (Foreseeing, "hidden seed"), (Meddling, "changed the real one")],
)
def test_planning_that_sees_the_future_is_caught(creator, message, register):
    options = {"instance": "ft06", "law": "bernoulli", "p": 0.05}
    subject = Subject(find_env(register(creator)), options)
    finding = run_rule(next(rule for rule in RULES if rule.name == "imagine"), subject)
    assert finding.outcome == "failed"
    assert message in finding.text


class OtherSeeds(JobShopVectorEnv):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed + 1 if isinstance(seed, int) else seed, options=options)


class OtherEpisodes(JobShopVectorEnv):
    """Later episodes come from seeds of their own."""

    def _reset_ended(self, ended, info):
        self._episodes[ended] += 1
        super()._reset_ended(ended, info)


class NextStep(JobShopVectorEnv):
    metadata = {**JobShopVectorEnv.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}


@pytest.mark.parametrize(
    "creator, message",
    [(OtherSeeds, "at the reset"), (OtherEpisodes, "after step"), (NextStep, "SAME_STEP")],
)
def test_a_vector_door_of_its_own_mind_is_caught(creator, message, register):
    subject = Subject(find_env(register(JobShopEnv, vector_entry_point=creator)), {})
    finding = run_rule(next(rule for rule in RULES if rule.name == "vector"), subject)
    assert finding.outcome == "failed"
    assert message in finding.text


def test_a_plain_vector_door_passes(register):
    def many(num_envs, **options):
        makers = [lambda: Good(**options) for _ in range(num_envs)]
        return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)

    subject = Subject(find_env(register(Good, vector_entry_point=many)), {"jobs": 5})
    assert run_rule(next(rule for rule in RULES if rule.name == "vector"), subject).outcome == "passed"


def test_sb3_check_env_is_run_where_it_is_installed(register):
    pytest.importorskip("stable_baselines3")
    creator = reporting(lambda o, r, end, cut, info: (o, r, end, cut, list(info)))
    finding = run_rule(
        next(rule for rule in RULES if rule.name == "sb3 check_env"), Subject(find_env(register(creator)), {})
    )
    assert finding.outcome == "failed"
    assert "stable-baselines3" in finding.text


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_says_what_is_broken_and_returns_1(register, capsys):
    assert run(register(CASES["NaN in metrics"][0])) == 1
    shown = capsys.readouterr().out
    assert "end of episode" in shown
    assert "breaks the contract: 1 of" in shown


def test_the_command_as_json(capsys):
    assert run("makespan/JobShop-v0:blocking=no-swap", json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["env"], report["env_options"], report["ok"]) == (
        "makespan/JobShop-v0",
        {"blocking": "no-swap"},
        True,
    )
    assert [row["rule"] for row in report["findings"]] == [rule.name for rule in (*RULES, *PLAYERS)]


def test_an_environment_that_cannot_be_made_is_a_finding(register):
    def fail():
        raise RuntimeError("no licence")

    (finding,) = check_contract(register(fail))
    assert (finding.rule, finding.outcome) == ("make", "failed")
    assert "no licence" in finding.text


@pytest.mark.parametrize(
    "env, message",
    [
        ("makespan/JobShop-v1", "did you mean 'makespan/JobShop-v0'"),
        ("makespan/JobShop-v0:blockin=swap", "did you mean 'blocking'"),
        ("makespan/JobShop-v0:blocking=swop", "option blocking is 'swop'"),
    ],
)
def test_mistakes_are_the_users(env, message):
    with pytest.raises(UserError, match=message):
        run(env)


def test_unknown_options_of_plain_environments_are_named(register):
    with pytest.raises(UnknownNameError, match="'job'; did you mean 'jobs'"):
        check_contract(register(Good), {"job": 3})


def test_a_spec_read_back_is_equal():
    data = json.loads(json.dumps(Good.observation_spec.to_dict()))
    assert ObservationSpec.from_dict(copy.deepcopy(data)) == Good.observation_spec
