"""Names, lists and seeds, spoilt."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from makespan.agents.arena import open_arena
from makespan.agents.catalogue import make_agent
from makespan.envs.air_mobility import catalogue as air
from makespan.envs.core.errors import UserError
from makespan.envs.core.ids import make_single
from makespan.envs.core.names import expand_range, parse_name, parse_seeds, parse_value, split_list
from makespan.envs.job_shop import generator as job_shop
from makespan.envs.memory_mapping import generator as memory
from makespan.envs.restless_bandits import source as bandits
from makespan.envs.soc import generator as soc
from makespan.eval.ladder import parse_budgets
from makespan.eval.plan import parse_environment

from .confinement import confined
from .fuzz_folders import SHOP, SMALL
from .fuzzing import Tally, judge

ENVIRONMENTS = [
    SHOP,
    "makespan/SocDag-v0",
    "makespan/StaticDag-v0",
    "makespan/MemoryMapping-v0",
    "makespan/AirMobility-v0",
    "makespan/RestlessBandits-v0",
]
ENVIRONMENT_NAMES = [
    *ENVIRONMENTS,
    f"{SHOP}:law=bernoulli:p=0.005",
    f"{SHOP}:blocking=none:mode=construct",
    f"{SHOP}:law=exponential:mtbf=300.0:mttr=20:clock=busy:on_breakdown=repeat",
    f"{SHOP}:reward_scale=none",
    "makespan/SocDag-v0:horizon=200:warmup=10:noise=0.1+0.5:mtbf=300",
    "makespan/SocDag-v0:contention=bus:dvfs=powersave",
    "makespan/StaticDag-v0:insertion=false:window=5:objective=latency",
    "makespan/MemoryMapping-v0:supply=elapsed",
    "makespan/AirMobility-v0:fleet=8:tariff=peak",
    "makespan/RestlessBandits-v0:instance=k3",
]
SEEDS = ["0", "0,7,9", "0-9", "1-3,5", "4611686018427387903"]
INSTANCES: dict[str, tuple[Callable[[str], list[Any]], list[str]]] = {
    "job shop": (
        job_shop.resolve,
        ["ft06", "la01-la03", "la01-03", "random:size=3x3+2x4:count=2:seed=7", "random-3x3-s1"],
    ),
    "soc": (
        soc.resolve,
        [
            "gap-exact",
            "topcuoglu",
            "random:tasks=20+30:pes=4:ccr=0.1+1:family=layered+fft:count=2:seed=3",
            "random-layered-20x4-c1-b0.5-a1-d2-s7",
        ],
    ),
    "memory": (memory.resolve, ["alexnet_b8_32m", "random:size=20+30:count=2:seed=5", "random-30-s1"]),
    "air": (
        air.resolve,
        [
            "la8-medium",
            "la8-medium-tight",
            "la8:vehicle=evtol-2025",
            "random:size=3x4:load=high:count=2:seed=7",
            "rand3x4-medium-s7",
        ],
    ),
    "bandits": (
        bandits.resolve,
        [
            "k3",
            "k0-k8",
            "capacity-j20-3",
            "capacity-j20",
            "random:size=capacity-j20+path-j20:count=2:seed=7",
            "random-path-j20-s7",
        ],
    ),
}
AGENTS = [
    "mwkr",
    "random:samples=4",
    "best-rule",
    "best-rule:hindsight=true",
    "rollout:of=spt+mwkr:worlds=2",
    "cp-sat:time=1",
    "checkpoints/job_shop_scorer:samples=2",
    "checkpoints/job_shop_graph_ppo:beam=2",
    "beam:width=2",
    "nextfree",
    "checkpoints/job_shop_alphazero:simulations=4",
    "spt:samples=2",
    "amcc",
    "lrm",
]
BUDGETS = ["0.1,1,10,60", "0.1", "1,2"]
_SIGNS = [
    ":",
    "=",
    ",",
    "+",
    "-",
    "/",
    ".",
    "x",
    "_",
    " ",
    "\n",
    "\x00",
    "\ud800",
    "é",
    "²",
    "٣",
    "..",
    "~",
    "%",
    "*",
    "[",
    "'",
]
STRANGE = [
    "",
    "0",
    "-1",
    "1",
    "0.5",
    "-0.0",
    "nan",
    "inf",
    "1e999",
    "1e-999",
    "true",
    "false",
    "none",
    "None",
    "x",
    "9" * 30,
    "9" * 5000,
    "99999999",
    "0x10",
    "1_000",
    "a" * 300,
    "1+2",
    "+",
    "0-99",
    "99-0",
    "4611686018427387904",
    "../x",
    "/",
    ".",
    "checkpoints/nothing",
    "*",
    "[",
    "~nobody/x",
]


def spoil_name(text: str, rng: random.Random) -> str:
    """A name with parts replaced, removed, doubled or exchanged."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        kind = rng.randrange(6)
        at = rng.randrange(len(text) + 1)
        if kind == 0:
            text = text[:at] + rng.choice(_SIGNS) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + rng.randrange(1, 4) :]
        elif kind == 2:
            text = text[:at] + rng.choice(STRANGE) + text[at:]
        else:
            sign = rng.choice([sign for sign in ":=,+-x/" if sign in text] or [":"])
            parts = text.split(sign)
            place = rng.randrange(len(parts))
            if kind == 3:
                parts[place] = rng.choice(STRANGE)
            elif kind == 4:
                parts.insert(place, rng.choice(parts))
            else:
                del parts[place]
            text = sign.join(parts)
    return text


def _everything(text: str) -> None:
    """What only takes text apart."""
    parse_value(text)
    for read in (
        lambda text: str(parse_name(text)),
        split_list,
        parse_seeds,
        parse_budgets,
        lambda text: expand_range(text, ["la01", "la02"]),
    ):
        with contextlib.suppress(UserError):
            read(text)


def _environment(text: str) -> None:
    make_single(*parse_environment(text)).close()


def name_tests() -> dict[str, tuple[list[str], Callable[[str], object]]]:
    """What reads a name: sound ones, and how they are read."""
    setting = open_arena(SHOP, 1, {"instance": SMALL}).setting
    found: dict[str, tuple[list[str], Callable[[str], object]]] = {
        "grammar": ([*ENVIRONMENT_NAMES, *SEEDS, *AGENTS, *BUDGETS], _everything),
        "environments": (ENVIRONMENT_NAMES, _environment),
        "seeds": (SEEDS, parse_seeds),
        "budgets": (BUDGETS, parse_budgets),
        "agents": (AGENTS, lambda text: make_agent(text, setting)),
    }
    for problem, (resolve, names) in INSTANCES.items():
        found[f"instances of {problem}"] = (names, resolve)
    return found


def fuzz_names(name: str, texts: list[str], read: Callable[[str], object], numbers: range, folder: Path) -> Tally:
    """Run the cases of these numbers, in an empty folder that stays empty."""
    tally = Tally(name)
    for text in texts:
        with contextlib.suppress(UserError):  # an agent may need a package that is not installed
            read(text)
    with confined(folder):
        for number in numbers:
            rng = random.Random(f"{name} {number}")
            text = spoil_name(rng.choice(texts), rng)
            judge(tally, number, lambda text=text: read(text), len(text))
    return tally
