"""How fast makespan is, every environment beside what else can be installed for it, all measured in turn in one run.

    python benchmarks/speed.py                     # a table, and benchmarks/results/speed.json
    python benchmarks/speed.py --write docs/benchmarks.md
    python benchmarks/speed.py --no-peers --rounds 1 --seconds 0.2

Every program is a process of its own; peers run in virtual environments of their own, made on the spot. Round after
round each case is measured for a moment, so that all meet the same state of the machine; the median over rounds counts.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import makespan
import tyro
from makespan.envs.registry import contract_ids
from rich.console import Console

HERE = Path(__file__).resolve().parent
SIZE = "10x10"
LAW = "times 1..99"


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        program: which worker answers it.
        name: what the worker is asked for.
        what: how the table calls it.
        batch: copies per step.
        threads: threads that may work on it.
        step: what one step is.
        problem: one of `PROBLEMS`.
        compared: whether its rate is set against the other programs'.
    """

    program: str
    name: str
    what: str
    batch: int
    threads: int = 1
    step: str = "a decision"
    problem: str = "Job shop"
    compared: bool = False


@dataclass(frozen=True)
class Peer:
    """A program to compare with: its worker, and what pip installs for it."""

    script: str
    requirements: tuple[str, ...]


PEERS = {
    "Jumanji": Peer("peer_jumanji.py", ("jumanji>=1.1,<1.2", "jax")),
    "RL4CO": Peer("peer_rl4co.py", ("rl4co>=0.7,<0.8", "torch>=2.6,<2.14")),
    "JSSEnv": Peer("peer_jssenv.py", ("JSSEnv>=1.1,<1.2",)),
    "job-shop-lib": Peer("peer_job_shop_lib.py", ("job-shop-lib>=1.7,<1.8",)),
    # It asks matplotlib for what 3.9 no longer has.
    "graph-jsp-env": Peer("peer_graph_jsp_env.py", ("graph-jsp-env>=1.1,<1.2", "matplotlib<3.9")),
    "SAGA": Peer("peer_saga.py", ("anrg-saga>=2,<2.1",)),
    "ride-gym": Peer("peer_ride_gym.py", ("ride-gym==0.1.0",)),
}

PROBLEMS = {
    "Job shop": "operations",
    "DAG scheduling": "tasks placed",
    "Memory mapping": "decisions of the game",
    "Fleets": "dispatches",
    "Restless bandits": "picks",
    "One machine, tardiness": "jobs placed",
}
"""What is done in each, in the unit that the programs share."""

_SWAP, _CLASSICAL, _DOWN = "blocking with swaps", "classical, no waiting", "blocking with swaps, breakdowns"
_TICK = "a clock tick"


def _engine(shop: str, batch: int, threads: int = 1) -> Case:
    program = "makespan" if threads == 1 else "makespan, threads"
    case = f"engine:{shop}:{SIZE}:{batch}:{threads}"
    return Case(program, case, f"engine, {shop}", batch, threads, compared=shop == _CLASSICAL and threads == 1)


def _doors(problem: str, what: str, told: str, batches: tuple[int, ...] = (64, 256)) -> tuple[Case, ...]:
    """Both doors of an environment of ours."""
    vector = (
        Case("makespan", f"vector:{what}::{batch}", f"{told}, VectorEnv.step", batch, problem=problem, compared=True)
        for batch in batches
    )
    return *vector, Case("makespan", f"env:{what}:", f"{told}, Env.step", 1, problem=problem)


OURS = (
    *(_engine(_CLASSICAL, batch) for batch in (1, 64, 1024)),
    *(_engine(_SWAP, batch) for batch in (1, 64, 1024)),
    _engine(_DOWN, 1024),
    _engine(_CLASSICAL, 1024, 2),
    _engine(_SWAP, 1024, 2),
    *(Case("makespan", f"vector:{_SWAP}:{SIZE}:{batch}", "VectorEnv.step", batch) for batch in (64, 1024)),
    Case("makespan", f"env:{_SWAP}:{SIZE}", "Env.step", 1),
    Case("makespan", "heft:100", "HEFT, 100 tasks on 10 PEs", 1, problem="DAG scheduling", compared=True),
    *(
        replace(case, compared=False)
        for told in (("dag", "StaticDag, 50 tasks on 8 PEs"), ("stream", "SocDag, DS3's six applications"))
        for case in _doors("DAG scheduling", *told)
    ),
    *_doors("Memory mapping", "memory mapping", "MemoryMapping"),
    *_doors("Fleets", "air mobility", "AirMobility, 8 vertiports, 40 aircraft"),
    *_doors("Restless bandits", "restless bandits", "RestlessBandits, 20 arms", (64, 1024)),
    *_doors("One machine, tardiness", "tardiness", "TotalTardiness (the tutorial's), 50 jobs", (64, 1024)),
    Case(
        "makespan",
        "vector:tardiness, a list::1024",
        "the same, 100 instances again and again",
        1024,
        problem="One machine, tardiness",
        compared=True,
    ),
)
RULES = Case("makespan", f"rules:{_SWAP}:la01-la40", "all rules on la01-la40", 40)
_HEFT, _FLEET, _TARDY = "DAG scheduling", "Fleets", "One machine, tardiness"
THEIRS = (
    *(Case("Jumanji", f"{SIZE}:99:{batch}", f"JobShop, {LAW}", batch, step=_TICK) for batch in (1, 64, 1024)),
    *(Case("Jumanji", f"{SIZE}:6:{batch}", "JobShop, times 1..6", batch, step=_TICK) for batch in (1, 64, 1024)),
    Case("RL4CO", f"job-shop:{SIZE}:99:64", f"JSSPEnv, {LAW}", 64),
    Case("JSSEnv", f"{SIZE}:99", f"JssEnv, {LAW}", 1),
    Case("job-shop-lib", f"{SIZE}:99", f"SingleJobShopGraphEnv, {LAW}", 1),
    Case("graph-jsp-env", f"{SIZE}:99", f"DisjunctiveGraphJspEnv, {LAW}", 1),
    Case("SAGA", "100", "HeftScheduler, 100 tasks on 10 PEs", 1, step="a schedule", problem=_HEFT),
    Case("ride-gym", "40", "RidePoolEnv, 40 cars: another problem", 1, step="a minute", problem=_FLEET),
    *(Case("RL4CO", f"tardiness:50:{batch}", "SMTWTPEnv, 50 jobs", batch, problem=_TARDY) for batch in (64, 1024)),
)


@dataclass(frozen=True)
class Arguments:
    """Measure speed, ours and others side by side.

    Attributes:
        rounds: how often every case is measured.
        seconds: at least how long, each time.
        peers: whether other programs are installed and measured too.
        peers_folder: where their virtual environments are made and kept; default: a temporary folder.
        out: where the JSON goes.
        write: a Markdown file whose part between the marks `speed:begin` and `speed:end` is replaced by the tables.
    """

    rounds: int = 5
    seconds: float = 1.0
    peers: bool = True
    peers_folder: Path | None = None
    out: Path = HERE / "results" / "speed.json"
    write: Path | None = None


# --- processes --------------------------------------------------------------------------------------------------------


class Worker:
    """A process that answers cases.

    Attributes:
        program: its name and version.
    """

    def __init__(self, python: Path, script: Path, one_core: bool) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [str(python), str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=_stay_on_one_core if one_core and hasattr(os, "sched_setaffinity") else None,
        )
        try:
            self.program = str(self._reply()["program"])
        except RuntimeError:
            self._process.kill()
            raise

    def ask(self, case: str, seconds: float) -> dict[str, Any]:
        """Counts, wall and CPU seconds, or {"error"}."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"case": case, "seconds": seconds}) + "\n")
        self._process.stdin.flush()
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            errors = self._process.stderr.read().strip().splitlines()
            raise RuntimeError(errors[-1] if errors else "it ended without a word")
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _stay_on_one_core() -> None:
    """Programs that start a thread per core (JAX) see one core, and all programs the same."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def install(peer: Peer, folder: Path) -> Path:
    """Make a virtual environment for a peer, unless it is there; returns its interpreter.

    Raises:
        RuntimeError: pip failed; the message is its last line.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / ".ready"
    if not ready.exists():
        arguments = os.environ.get("PIP_ARGS", "").split()
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", *arguments, *peer.requirements],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
        ready.touch()
    return python


@contextmanager
def open_workers(arguments: Arguments, console: Console) -> Iterator[tuple[dict[str, Worker], dict[str, str]]]:
    """Start all programs. Yields the workers by name, and why the others could not be started."""
    with ExitStack() as stack:
        workers = {
            "makespan": Worker(Path(sys.executable), HERE / "ours.py", one_core=True),
            "makespan, threads": Worker(Path(sys.executable), HERE / "ours.py", one_core=False),
        }
        missing: dict[str, str] = {}
        if arguments.peers:
            kept = arguments.peers_folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for name, peer in PEERS.items():
                console.print(f"installing {name}")
                try:
                    python = install(peer, kept.absolute() / name)
                    workers[name] = Worker(python, HERE / "peers" / peer.script, one_core=True)
                except (OSError, RuntimeError) as error:
                    missing[name] = str(error)
        for worker in workers.values():
            stack.callback(worker.close)
        yield workers, missing


# --- measuring --------------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """The measurements of a case, one per round, or why there are none."""

    case: Case
    program: str
    rounds: list[dict[str, float]] = field(default_factory=list)
    error: str = ""

    def rate(self, unit: str, clock: str) -> float:
        """Median over rounds of `unit` (steps, decisions, operations, chunks) per second of `clock` (wall, cpu)."""
        return median(one[unit] / one[clock] for one in self.rounds) if self.rounds else float("nan")


def measure(arguments: Arguments, console: Console) -> list[Row]:
    """Measure every case once per round."""
    rows = []
    with open_workers(arguments, console) as (workers, missing):
        for case in (*OURS, RULES, *(THEIRS if arguments.peers else ())):
            worker = workers.get(case.program)
            rows.append(Row(case, worker.program if worker else case.program, error=missing.get(case.program, "")))
        for number in range(arguments.rounds):
            for row in rows:
                console.print(f"round {number + 1} of {arguments.rounds}: {row.program}, {row.case.what}")
                if not row.error:
                    _measure_once(workers[row.case.program], row, arguments.seconds)
    return rows


def _measure_once(worker: Worker, row: Row, seconds: float) -> None:
    try:
        reply = worker.ask(row.case.name, seconds)
        row.error = str(reply.get("error", ""))
    except (OSError, RuntimeError) as error:
        row.error, reply = str(error) or type(error).__name__, {}
    if row.error:
        row.rounds.clear()
    else:
        row.rounds.append(reply)


# What a fresh process does that has imported nothing yet.
_FIRST_STEP = """
import json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
import gymnasium, makespan
env = gymnasium.make(sys.argv[1])
_, info = env.reset(seed=0)
env.step(int(info["action_mask"].argmax()))
print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))
"""


def first_steps(env_id: str) -> dict[str, dict[str, float]]:
    """Seconds of imports, make, reset and first step: "cold", with an empty cache of compiled code, and "warm"."""
    seconds = {}
    with tempfile.TemporaryDirectory() as cache:
        for state in ("cold", "warm"):
            environment = os.environ | {"MAKESPAN_CACHE": cache}
            command = [sys.executable, "-c", _FIRST_STEP, env_id]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            seconds[state] = json.loads(done.stdout)
    return seconds


# --- report -----------------------------------------------------------------------------------------------------------


def machine() -> str:
    """What was measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = models[0] if models else model
    return f"{model}, {os.cpu_count()} CPUs, {platform.system()}, Python {platform.python_version()}"


def fastest(rows: list[Row], problem: str) -> tuple[Row, Row] | None:
    """Our and the fastest peer's row of a problem, by what is done per CPU second on one core, if both are measured."""
    measured = [row for row in rows if row.rounds and row.case.problem == problem]
    ours = [row for row in measured if row.case.compared]
    theirs = [row for row in measured if row.case.program in PEERS]
    if not ours or not theirs:
        return None
    return tuple(max(group, key=lambda row: row.rate("operations", "cpu")) for group in (ours, theirs))  # type: ignore[return-value]


def table(rows: list[Row], unit: str) -> list[str]:
    """The rows of a problem as Markdown."""
    lines = [
        f"| program | what | batch | threads | one step is | steps / CPU s | decisions / CPU s | {unit} / CPU s | "
        "decisions / s |",
        "|---|---|---:|---:|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        case = row.case
        head = f"| {row.program} | {case.what} | {case.batch} | {case.threads} | {case.step} |"
        if row.error:
            lines.append(f"{head} not measured: {row.error.replace('|', '/')} | | | |")
            continue
        rates = [row.rate(unit, "cpu") for unit in ("steps", "decisions", "operations")]
        lines.append(f"{head} {' | '.join(f'{rate:,.0f}' for rate in (*rates, row.rate('decisions', 'wall')))} |")
    return lines


def tables(arguments: Arguments, rows: list[Row], starts: dict[str, dict[str, dict[str, float]]]) -> str:
    """The report as Markdown."""
    lines = [
        f"{machine()}. Shops are {SIZE} with {LAW} unless said otherwise; {arguments.rounds} rounds of at least "
        f"{arguments.seconds} s in turn, medians. Rates are per CPU second; where several threads work, read the rate "
        "of the wall clock.",
    ]
    for problem, unit in PROBLEMS.items():
        of_it = [row for row in rows if row.case.problem == problem and row.case is not RULES]
        lines += ["", f"## {problem}", "", *table(of_it, unit), ""]
        pair = fastest(rows, problem)
        if pair is None:
            known = any(case.problem == problem for case in THEIRS)
            lines.append(
                "No other program was measured." if known else "Nothing else that plays this is known to install."
            )
            continue
        ours, theirs = pair
        factor = ours.rate("operations", "cpu") / theirs.rate("operations", "cpu")
        lines.append(
            f"The best batch of each: {factor:,.1f} times as many {unit} per CPU second as the fastest other "
            f"({theirs.program}, {theirs.case.what}, batch {theirs.case.batch})."
        )
    lines += ["", "## Rules and first steps", ""]
    (rules,) = (row for row in rows if row.case is RULES)
    if rules.error:
        lines.append(f"All rules on la01-la40: not measured: {rules.error}.")
    else:
        once = {clock: 1.0 / rules.rate("chunks", clock) for clock in ("wall", "cpu")}
        lines.append(
            f"All rules on la01-la40 ({_SWAP}), from the reset to the schedules: {once['wall']:.2f} s "
            f"({once['cpu']:.2f} CPU s)."
        )
    lines += [
        "Imports, `gymnasium.make`, `reset` and the first `step` of a fresh process, in seconds (CPU seconds):",
        "",
        "| environment | everything has to be compiled | with the cache |",
        "|---|---:|---:|",
    ]
    for env_id, times in starts.items():
        cells = [f"{times[state]['wall']:.1f} ({times[state]['cpu']:.1f})" for state in ("cold", "warm")]
        lines.append(f"| `{env_id}` | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def write_between_marks(path: Path, text: str, name: str = "speed") -> None:
    """Replace what stands between the marks of a name in a Markdown file.

    Raises:
        SystemExit: the file has no such marks.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    content = path.read_text(encoding="utf-8")
    if begin not in content or end not in content:
        raise SystemExit(f"{path} has no marks {begin} and {end}")
    before, after = content.split(begin)[0], content.split(end)[1]
    path.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")


def main(arguments: Arguments) -> None:
    console = Console(stderr=True)
    starts = {}
    for env_id in (each for each in contract_ids() if each.startswith("makespan/")):
        console.print(f"first steps of {env_id}")
        starts[env_id] = first_steps(env_id)
    rows = measure(arguments, console)
    report = tables(arguments, rows, starts)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "makespan": makespan.__version__,
        "machine": machine(),
        "first_step_seconds": starts,
        "rows": [{**vars(row.case), "program": row.program, "rounds": row.rounds, "error": row.error} for row in rows],
    }
    arguments.out.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if arguments.write is not None:
        write_between_marks(arguments.write, report)
    print(report)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
