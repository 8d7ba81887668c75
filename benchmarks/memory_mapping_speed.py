"""How many decisions of memory mapping are made per second: the engine with full observations, and the public doors.

    python benchmarks/memory_mapping_speed.py             # a table, and benchmarks/results/memory_mapping_speed.json

Programs of about 400 accesses are played by random legal actions, dead ends, their Drop-backups and the making of
programs included.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from makespan.envs.memory_mapping.env import make_engine
from rounds import Case, engine_case, env_case, measure, rule_case, show, vector_case, write

HERE = Path(__file__).resolve().parent
ID = "makespan/MemoryMapping-v0"


@dataclass(frozen=True)
class Arguments:
    """Measure the speed of memory mapping.

    Attributes:
        accesses: of each program.
        rounds: how often every case is measured.
        seconds: at least how long, each time.
        out: where the JSON goes.
    """

    accesses: int = 400
    rounds: int = 5
    seconds: float = 1.0
    out: Path = HERE / "results" / "memory_mapping_speed.json"


def rule_programs(instance: str, batch: int, rule: str) -> Case:
    """Whole programs by a rule in compiled code."""
    engine = make_engine(batch, instance=instance)
    engine.reset(np.arange(batch))
    begin, play = engine.snapshot(), rule_case(engine, ID, rule)

    def programs() -> int:
        engine.restore(begin)
        return play()

    return programs


def main(arguments: Arguments) -> None:
    instance = f"random:size={arguments.accesses}"
    cases = {f"engine, batch {n}": engine_case(make_engine(n, instance=instance)) for n in (1, 16, 64, 256)}
    cases["rule `rent` in compiled code, batch 256"] = rule_programs(instance, 256, "rent")
    cases["VectorEnv.step, batch 64"] = vector_case(ID, 64, instance=instance)
    cases["Env.step"] = env_case(ID, instance=instance)
    rows = measure(cases, arguments.rounds, arguments.seconds)
    show(rows, f"Programs of {arguments.accesses} accesses.")
    write(arguments.out, accesses=arguments.accesses, rows=rows)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
