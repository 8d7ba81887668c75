"""Search public instances and keep what is better than the records held.

    python benchmarks/records.py --records records --env makespan/JobShop-v0:blocking=swap --instances la01-la40

Each instance is searched by `makespan optimise` for so long; the folder of records is then the better one of both. The
same command again searches again, from fresh seeds with ``--seed``.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from makespan.cli.main import main as makespan
from makespan.envs.core.ids import make_single
from makespan.envs.core.names import split_list
from makespan.eval.plan import parse_environment
from makespan.eval.records import keep


@dataclass(frozen=True)
class Arguments:
    """Search for records.

    Attributes:
        records: the folder to write to.
        env: an id with options.
        instances: names and sets.
        seconds: for each instance.
        agent: who searches.
        seed: of the search.
    """

    records: Path
    env: str
    instances: str
    seconds: float = 10.0
    agent: str = "portfolio"
    seed: int = 0


def main(given: Arguments) -> None:
    """Search one instance after the other."""
    base, options = parse_environment(given.env)
    env: Any = make_single(base, dict(options)).unwrapped
    for item in split_list(given.instances):
        for instance in env.resolve_instances(item):
            with tempfile.TemporaryDirectory() as place:
                out = str(Path(place) / "found")
                command = ["optimise", instance.name, "--env", given.env, "--seconds", str(given.seconds)]
                with contextlib.redirect_stdout(io.StringIO()):
                    code = makespan([*command, "--agent", given.agent, "--seed", str(given.seed), "--out", out])
                if code:
                    raise SystemExit(code)
                print(keep(out, given.records), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
