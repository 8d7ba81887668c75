"""The rules of the contract about copies, files and processes: each is broken by an environment made for it."""

import json
import pickle
import random
import re
from dataclasses import replace
from fractions import Fraction

import gymnasium
import numpy as np
import pytest
from makespan.envs.core import check_play
from makespan.envs.core.check import RULES, run_rule
from makespan.envs.core.check_play import Subject
from makespan.envs.core.ids import find_env
from makespan.envs.core.spec import Feature
from makespan.envs.job_shop.env import JobShopEnv, JobShopVectorEnv
from support.weighted_tardiness import SUITE, Good

BROKEN = "test-check/Suite-v0"
SHOP = {"instance": "ft06"}


@pytest.fixture
def find(monkeypatch):
    """What comes of a rule on an environment, registered for one test."""
    registered = []

    def finding(rule, creator, options=None, **more):
        gymnasium.register(id=BROKEN, entry_point=creator, **more)
        registered.append(BROKEN)
        return run_rule(next(one for one in RULES if one.name == rule), Subject(find_env(BROKEN), options or {}))

    monkeypatch.setattr(check_play, "MOST_STEPS", 300)
    yield finding
    for env_id in registered:
        del gymnasium.registry[env_id]


def with_spec(**changes):
    return type("Changed", (Good,), {"observation_spec": replace(Good.observation_spec, **changes)})


GLOBALS = Good.observation_spec.globals


class Shared(Good):
    """All copies look at one clock."""

    clock = [0]
    _time = property(lambda self: self.clock[0], lambda self, value: self.clock.__setitem__(0, value))


class Truncating(Good):
    """Seeds lose their upper half."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else seed % 2**31, options=options)


class AnySeed(Good):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else abs(seed), options=options)


class Reader(Good):
    """The world depends on numpy's global generator."""

    def _choose(self, name):
        shift = np.random.randint(1000)  # noqa: NPY002
        instance = super()._choose(name)
        return replace(instance, due_dates=tuple(due + shift for due in instance.due_dates))


class Mover(Good):
    """Draws from the process's generator, though nothing comes of it."""

    def step(self, action):
        random.random()
        return super().step(action)


class Hoarding(Good):
    """Keeps all that it has ever shown."""

    def _observe(self):
        self.__dict__.setdefault("_shown", []).append(super()._observe())
        return {key: array.copy() for key, array in self._shown[-1].items()}


class Counting(Good):
    """Keeps a number for each step."""

    def step(self, action):
        self.__dict__.setdefault("_log", []).append((action, self._time / 7))
        return super().step(action)


class Pickled(Good):
    """Keeps its instances as pickles."""

    def _choose(self, name):
        pickle.loads(pickle.dumps(Fraction(1, 3)))
        return super()._choose(name)


class Careless(Good):
    def __init__(self, jobs=10, margin=3, **more):
        super().__init__(jobs, **more)


class Crashing(Good):
    def __init__(self, jobs=10, **more):
        super().__init__(int(jobs + 0), **more)


class Curt(Good):
    def __init__(self, jobs=10, **more):
        if jobs != 10:
            raise ValueError("this cannot be")
        super().__init__(jobs, **more)


class Wordy(Good):
    def __init__(self, jobs=10, **more):
        if jobs != 10:
            raise ValueError("option jobs is wrong\nfor many reasons")
        super().__init__(jobs, **more)


class Other(JobShopEnv):
    """Reads another instance than was saved."""

    @staticmethod
    def resolve_instances(item):
        return [replace(one, times=one.times + 1) if "/" in item else one for one in JobShopEnv.resolve_instances(item)]


class Twice(JobShopEnv):
    @staticmethod
    def resolve_instances(item):
        return JobShopEnv.resolve_instances(item) * (2 if "/" in item else 1)


class Forgiving(JobShopEnv):
    """Plays something else where a file cannot be read."""

    @staticmethod
    def resolve_instances(item):
        try:
            return JobShopEnv.resolve_instances(item)
        except ValueError:
            return JobShopEnv.resolve_instances("ft06")


class Trusting(JobShopEnv):
    """Believes that every key is there."""

    @staticmethod
    def resolve_instances(item):
        if "/" in item:
            with open(item, encoding="utf-8") as file:
                text = file.read()
            if text.endswith("}\n") or not text.endswith("}"):
                json.loads(text)["times"]
        return JobShopEnv.resolve_instances(item)


class Talkative(JobShopEnv):
    @staticmethod
    def resolve_instances(item):
        try:
            return JobShopEnv.resolve_instances(item)
        except ValueError as error:
            raise ValueError(f"sorry:\n{error}") from None


class Foretold(JobShopEnv):
    """Is called deterministic, but imagines by the key."""

    def __init__(self, **options):
        super().__init__(**options)
        engine = self.engine
        plain = engine.imagine

        def imagine(copies, keys):
            imagined = plain(copies, keys)
            imagined.block.views["globals"][:, 0] = np.asarray(keys) / 100
            return imagined

        engine.imagine = imagine


class Stale(JobShopEnv):
    """What steps rewrite is not all that changed."""

    def __init__(self, **options):
        super().__init__(**options)
        engine, plain = self.engine, self.engine._write_all

        def write_all():
            plain()
            engine.block.views["globals"][:, 0] += 0.125

        engine._write_all = write_all


class Uncopied(JobShopVectorEnv):
    def __init__(self, **options):
        super().__init__(**options)
        self.engine.copy = lambda source, target: None


class Crowded(JobShopVectorEnv):
    """Rewards depend on how many others there are."""

    def step(self, actions):
        observation, reward, terminated, truncated, info = super().step(actions)
        return observation, reward / (2 if self.num_envs > 3 else 1), terminated, truncated, info


class Racing(JobShopVectorEnv):
    """What is seen depends on the threads."""

    def __init__(self, threads=1, **options):
        super().__init__(threads=threads, **options)
        self._threads = threads

    def step(self, actions):
        observation, reward, terminated, truncated, info = super().step(actions)
        observation["globals"][:, 0] += 0.125 * (self._threads - 1)
        return observation, reward, terminated, truncated, info


class HalfRefusing(JobShopVectorEnv):
    """Refuses, once the legal actions have been played."""

    def step(self, actions):
        try:
            return super().step(actions)
        except ValueError:
            super().step([int(np.flatnonzero(mask)[0]) for mask in self.action_masks()])
            raise


class Nameless(JobShopVectorEnv):
    def step(self, actions):
        try:
            return super().step(actions)
        except ValueError:
            raise ValueError("no") from None


class Permissive(JobShopVectorEnv):
    def __init__(self, on_illegal="terminate", **options):
        super().__init__(on_illegal="terminate", **options)


class Contagious(JobShopVectorEnv):
    """One end is the end of all."""

    def step(self, actions):
        observation, reward, terminated, truncated, info = super().step(actions)
        return observation, reward, terminated | terminated.any(), truncated, info


class Forgetful(JobShopVectorEnv):
    """Restores the seeds and not where the copies stand."""

    def restore(self, arrays):
        self._seeds, self._episodes = arrays["seeds"].copy(), arrays["episodes"].copy()


def with_attributes(**attributes):
    return type("Changed", (Good,), attributes)


def appraising(objective, metrics):
    def appraise(self, schedule):
        return schedule.objective + objective, metrics

    return with_attributes(appraise=appraise)


def key_error(self, schedule):
    raise KeyError("start")


PLAIN = {
    "two features of one name": (
        with_spec(globals=(GLOBALS[0], GLOBALS[0], GLOBALS[2])), "features", "two features 'time'"),
    "no unit": (with_spec(globals=(Feature("time", " ", 0, 4), *GLOBALS[1:])), "features", "has the unit ' '"),
    "no name": (with_spec(globals=(Feature("", "x"), *GLOBALS[1:])), "features", "the name ''"),
    "no room": (with_spec(globals=(Feature("time", "x", 0, 0), *GLOBALS[1:])), "features", "from 0 to 0"),
    "no time": (with_spec(time_scale=0.0), "features", "time_scale is 0.0"),
    "shared state": (Shared, "copies", "played in turns"),
    "truncated seeds": (Truncating, "seeds", "reports the seed"),
    "seeds below 0": (AnySeed, "seeds", "reset\\(seed=-1\\) was accepted"),
    "global randomness read": (Reader, "global randomness", "changed with the process's own random numbers"),
    "global randomness moved": (Mover, "global randomness", "moved the process's random,"),
    "all observations kept": (Hoarding, "memory", "400 steps leave at least"),
    "a log of steps": (Counting, "memory", "400 steps leave at least"),
    "pickles": (Pickled, "pickles", "fractions.Fraction"),
    "an option that is ignored": (Careless, "options", "option margin='no-such-value-9f2c' was accepted"),
    "an option that crashes": (Crashing, "options", "option jobs='no-such-value-9f2c' raised TypeError"),
    "an option that is not named": (Curt, "options", "expected one that names the option"),
    "an option refused at length": (Wordy, "options", "of several lines"),
    "another objective": (appraising(1, {}), "appraisal", "appraise\\(schedule\\) says"),
    "metrics that are none": (appraising(0, 3), "appraisal", "metrics of type int"),
    "a validator that trusts": (
        with_attributes(validate=lambda self, schedule: []), "malformed schedules", "found nothing wrong with any"),
    "a validator that crashes": (with_attributes(validate=key_error), "malformed schedules", "raised KeyError"),
    "complaints that are no texts": (
        with_attributes(validate=lambda self, schedule: [3]), "malformed schedules", "expected a list of texts"),
}  # fmt: skip

COMPILED = {
    "another instance": (Other, None, "instance files", "saved and read back as another"),
    "two instances": (Twice, None, "instance files", "gave 2 instances"),
    "files that are forgiven": (Forgiving, None, "malformed instances", "was read, expected an error"),
    "files that crash": (Trusting, None, "malformed instances", "raised \\w+Error"),
    "files refused at length": (Talkative, None, "malformed instances", "expected one line"),
    "a future that keys change": (Foretold, None, "foreseeable", "stochastic is False"),
    "a stale observation": (Stale, None, "rewriting", "'globals'.* differs from one written from scratch"),
    "a copy that copies nothing": (JobShopEnv, Uncopied, "engine copy", "left copies that differ"),
    "neighbours that matter": (JobShopEnv, Crowded, "batch", "copy 3 of 5 after step"),
    "threads that matter": (JobShopEnv, Racing, "batch", "copy 3 of 5 on 2 threads after step"),
    "a refusal that plays": (JobShopEnv, HalfRefusing, "vector illegal", "a refused action"),
    "a refusal without a name": (JobShopEnv, Nameless, "vector illegal", "expected it to name the copy"),
    "no refusal": (JobShopEnv, Permissive, "vector illegal", "let action \\d+ of copy 1 pass"),
    "an end of all": (JobShopEnv, Contagious, "vector illegal", "expected copy 1 to end and the others to go on"),
    "a restore of half": (JobShopEnv, Forgetful, "vector snapshot", "went on differently"),
}


@pytest.mark.parametrize("case", PLAIN)
def test_a_plain_environment_that_breaks_a_rule_is_caught(case, find):
    creator, rule, message = PLAIN[case]
    finding = find(rule, creator)
    assert finding.outcome == "failed", finding
    assert re.search(message, finding.text), finding.text
    assert "\n" not in finding.text


@pytest.mark.parametrize("case", COMPILED)
def test_a_compiled_environment_that_breaks_a_rule_is_caught(case, find):
    single, many, rule, message = COMPILED[case]
    finding = find(rule, single, SHOP, vector_entry_point=many or JobShopVectorEnv)
    assert finding.outcome == "failed", finding
    assert re.search(message, finding.text), finding.text
    assert "\n" not in finding.text


def test_every_rule_of_this_file_has_an_environment_that_breaks_it():
    assert {rule for _, rule, _ in PLAIN.values()} | {rule for *_, rule, _ in COMPILED.values()} == SUITE


def test_a_schedule_that_states_an_objective_of_its_own_is_not_needed(find):
    """Where read_schedule itself refuses whatever was changed, validate has nothing to find."""

    def read(data):
        if data != kept[-1]:
            raise ValueError("changed")
        return data

    kept = []

    class Sealed(Good):
        def schedule(self):
            kept.append({"starts": list(self._starts)})
            return kept[-1]

        read_schedule = staticmethod(read)

        def validate(self, schedule):
            return []

    assert find("malformed schedules", Sealed).outcome == "passed"


def test_the_processs_random_numbers_are_as_they_were_after_a_check(find):
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    assert find("global randomness", Good).outcome == "passed"
    after = random.random(), np.random.random()  # noqa: NPY002
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    assert after == (random.random(), np.random.random())  # noqa: NPY002
