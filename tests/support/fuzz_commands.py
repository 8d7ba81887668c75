"""Whole command lines, spoilt; commands that would take long are made tiny."""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from makespan.envs.core.errors import UserError

from .confinement import confined
from .fuzz_files import stored
from .fuzz_folders import EVALUATION, SEARCH, SHOP, SMALL, made_by, run_command, shipped
from .fuzz_names import STRANGE, spoil_name
from .fuzzing import Tally, judge, unwhole, write_tree

LINES: dict[str, list[str]] = {
    "evaluate": ["evaluate", *EVALUATION, "--out", "out", "--workers", "1", "--batch", "2", "--json"],
    "evaluate a sweep": [
        "evaluate",
        f"{SHOP}:law=bernoulli",
        "--agents",
        "spt",
        "--instances",
        SMALL,
        "--sweep",
        "p=0,0.01",
        "--workers",
        "1",
    ],
    "optimise": ["optimise", *SEARCH, "--out", "out", "--env", SHOP, "--seed", "3"],
    "optimise a file": ["optimise", "./shop.json", "--agent", "spt", "--seconds", "0.05", "--out", "out", "--json"],
    "optimise from a start": [
        "optimise",
        "./shop.json",
        "--start",
        "start.json",
        "--agent",
        "spt",
        "--seconds",
        "0.05",
        "--out",
        "out",
    ],
    "show": ["show", "results", "--row", "1", "--agent", "spt", "--out", "x.txt", "--format", "ansi"],
    "show as data": ["show", "results", "--out", "x.json"],
    "show a picture": ["show", "results", "--out", "x.svg"],
    "train": [
        "train",
        SHOP,
        "--out",
        "out",
        "--agent",
        "scorer",
        "--preset",
        "quick",
        "--instances",
        "random:size=2x2",
        "--steps",
        "1",
        "--evolve-directions",
        "1",
        "--evolve-worlds",
        "1",
        "--validation-worlds",
        "1",
        "--minutes",
        "0.001",
        "--json",
        "--seed",
        "1",
    ],
    "resume": ["train", "--resume", "--out", "run", "--json"],
    "envs": ["envs", "--json"],
    "certify": ["certify", "solution.json", "record.json", "search", "--json"],
    "certify and keep": ["certify", "search", "--records", "records", "--keep"],
    "trace": [
        "trace",
        "program.hlo",
        "--out",
        "traced.json",
        "--dtype",
        "bf16",
        "--trips",
        "3",
        "--cmem",
        "64",
        "--name",
        "x",
    ],
    "trace a module": ["trace", "module.py:Model", "--out", "traced.json", "--input", "8x64", "--json"],
    "new": ["new", "my_problem", "--out", "new_folder"],
    "version": ["--version"],
    "help": ["evaluate", "--help"],
}
_WORDS = [
    "--out",
    "--json",
    "--overwrite",
    "--help",
    "-h",
    "--",
    "-",
    "--nothing",
    "--out=out",
    "--out=",
    "--seconds",
    "--seed",
    "--agents",
    "--agent",
    "--resume",
    "--env",
    "-1",
    "1e999",
    "nan",
    "--seeds=0-3",
    "--row=-1",
    "--workers=0",
    "results",
    "results/run.json",
    "search",
    "run",
    "shop.json",
    "missing",
    ".",
    "",
    " ",
    "\x00",
    "\ud800",
    "a" * 5000,
    "evaluate",
    "train",
    "None",
    "[red]x[/]",
    "é",
    "out",
    "--device=cuda",
    "--device",
    "tpu",
    "--anytime",
    "--hindsight=0.1",
    "--reference=spt",
    "link",
    "fifo",
]
_MODULE = b"""import torch


class Model(torch.nn.Linear):
    def __init__(self):
        super().__init__(64, 64)
"""
_REFUSED = ("certify and keep",)
"""What is refused as it is: records are held of public instances alone."""
_NEVER = ("check", "report")
"""Commands that work at length whatever they are given."""


def spoil_line(words: list[str], rng: random.Random) -> list[str]:
    """A command line with words replaced, removed, doubled, exchanged or spoilt."""
    words = list(words)
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(len(words)) if words else 0
        kind = rng.randrange(7)
        if kind == 0 and words:
            del words[at]
        elif kind == 1:
            words.insert(at, rng.choice(_WORDS))
        elif kind == 2 and words:
            words[at] = rng.choice(_WORDS)
        elif kind == 3 and words:
            words.insert(at, rng.choice(words))
        elif kind == 4 and words:
            words[at] = rng.choice(STRANGE)
        elif words:
            words[at] = spoil_name(words[at], rng)
    return words


def harmless(words: list[str]) -> bool:
    """Whether a command may run: it stays within its folder, does no more than a moment's work, and reads no module."""
    text = " ".join(words)
    if any(word in _NEVER for word in words) or ("=" in text and "plugins" in text):
        return False
    return not any(word.startswith(("/", "~")) or ".." in word or "=/" in word or "=~" in word for word in words)


@contextlib.contextmanager
def short_work() -> Iterator[None]:
    """Whoever searches or trains has a moment, whatever the command line says; the rest is real."""
    import makespan.cli.optimise as optimising
    from makespan.eval.optimise import make_task
    from makespan.training.base import Run

    spent_time = Run.spent_time

    def brief(*arguments: Any) -> Any:
        task = make_task(*arguments)
        return replace(task, seconds=min(task.seconds, 0.05))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimising, "make_task", brief)
        patch.setattr(Run, "spent_time", lambda run: 1.0 if run.decisions else spent_time(run))
        yield


def workplace(trained: bool = True) -> dict[str, bytes]:
    """What lies in the folder in which command lines run; `trained`: with a training run, for which torch is loaded."""
    tree: dict[str, bytes] = {}
    for name, content in made_by(["evaluate", *EVALUATION]).items():
        tree[f"results/{name}"] = content
    for name, content in made_by(["optimise", *SEARCH]).items():
        tree[f"search/{name}"] = content
    if trained:
        run = made_by(LINES["train"][:-2])
        tree.update({f"run/{name}": content for name, content in run.items()})
    for name, content in shipped("job_shop_scorer").items():
        tree[f"scorer/{name}"] = content
    tree["shop.json"] = stored("job-shop-json")[0]["shop.json"]
    tree["start.json"] = stored("job-shop-start")[0]["start.json"]
    tree["solution.json"] = stored("solutions")[0]["solution.json"]
    tree["record.json"] = stored("records")[0]["record.json"]
    tree["records/job_shop/swap/ft06.json"] = stored("records")[1]["record.json"]
    tree["program.hlo"] = stored("hlo")[0]["program.hlo"].replace(b"8,8", b"64,64")
    tree["module.py"] = _MODULE
    return tree


def fuzz_lines(name: str, place: Mapping[str, bytes], numbers: range, folder: Path) -> Tally:
    """Run spoilt command lines of one kind in a folder of their own; what they leave is whole."""
    tally = Tally(f"command {name}")
    began = Path.cwd()
    write_tree(folder, place)
    try:
        os.chdir(folder)
        with short_work():
            with contextlib.suppress(UserError) if name in _REFUSED else contextlib.nullcontext():
                run_command(LINES[name])  # not confined: libraries that are loaded now have caches of their own
            write_tree(folder, place)
            os.chdir(folder)
        with short_work(), confined(folder):
            for number in numbers:
                rng = random.Random(f"{name} {number}")
                words = spoil_line(LINES[name], rng)
                if not harmless(words):
                    words = [words[0], "--nothing"]
                judge(tally, number, partial(run_command, words), sum(map(len, words)))
                broken = unwhole(folder, place)
                if broken:
                    tally.note(f"leaves {broken[0]}", number, shlex.join(words)[:300])
                if broken or rng.random() < 0.2:
                    write_tree(folder, place)
                    os.chdir(folder)
    finally:
        os.chdir(began)
        shutil.rmtree(folder, ignore_errors=True)
    return tally
