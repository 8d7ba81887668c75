"""The commands' arguments. Each command imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from tyro.conf import Positional, UseAppendAction, arg
from tyro.constructors import PrimitiveConstructorSpec

from ..envs.core.errors import UserError
from .train import TrainOptions

_DEFAULT_OPTIONS = TrainOptions()
OptionalText = Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")]


def _one_of(choices: Any) -> PrimitiveConstructorSpec[str | None]:
    """How an option is read whose value is one of a ``Literal``, None where it is not given: no one may type None."""
    words = get_args(choices)
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{{{','.join(words)}}}",
        instance_from_str=lambda given: given[0],
        is_instance=lambda value: value is None or value in words,
        str_from_instance=lambda value: [str(value)],
        choices=words,
    )


_Preset = Literal["quick", "full"]
_Format = Literal["ansi", "json", "perfetto", "png", "svg", "pdf", "gif"]
_Optimiser = Literal["sgd", "momentum", "adam"]
_Dtype = Literal["own", "bf16", "f16", "f32"]
_UNSAID = arg(help_behavior_hint="")


def train(
    env: Annotated[Positional[str | None], arg(metavar="ENV", help_behavior_hint="")] = None,
    *,
    out: Annotated[str, arg(metavar="FOLDER")],
    agent: OptionalText = None,
    preset: Annotated[_Preset | None, _one_of(_Preset), _UNSAID] = None,
    resume: bool = False,
    overwrite: bool = False,
    json: bool = False,
    ray: Annotated[str | None, arg(metavar="ADDRESS", help_behavior_hint="")] = None,
    training: TrainOptions = _DEFAULT_OPTIONS,
) -> int:
    """Train an agent on an environment. Ctrl-C saves; the same command goes on where it stopped.

    Args:
        env: an id with options, for example makespan/JobShop-v0:law=bernoulli:p=0.005
        out: folder of the run: best and last checkpoint, state, TensorBoard logs
        agent: on any environment graph-ppo (the default), attention-ppo, slots-ppo, deepsocs, captain (parts of a
            network as in captain:capsules=0), scorer, muzero or tree; on those with a batch engine, as all of ours
            have, also alphazero or das; on MemoryMapping mapper-order, on StaticDag dag-order, on RestlessBandits
            sequoia
        preset: quick (the default: six minutes on two cores) or full
        resume: go on with the run in the folder, with the options that it was begun with
        overwrite: begin anew where the folder holds another run
        json: print what came of it as JSON, and no progress
        ray: with --actors, the Ray cluster on which they play: auto, HOST:PORT, ray://HOST:PORT or local
        training: what else may be set
    """
    from .train import run

    return run(env, agent, out, preset, training, resume, overwrite, json, ray)


def sweep(
    file: Annotated[Positional[str], arg(metavar="CONFIG")],
    *,
    out: Annotated[str, arg(metavar="FOLDER")],
    workers: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None,
    ray: Annotated[str | None, arg(metavar="ADDRESS", help_behavior_hint="")] = None,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Train many settings of an agent, stop the worse ones early, and say what the best is worth.

    The same command goes on where it stopped, also after a kill.

    Args:
        file: a TOML file: environment, agent, the options that are searched, budgets (see docs/sweeps.md)
        out: folder for the trials' training runs, sweep.json, trials.csv, summary.md and sweep.png
        workers: processes that train side by side; default one, since budgets of minutes are by the clock
        ray: train on a Ray cluster, by default on all of its processors, which must see the folder: auto (that of this
            machine), HOST:PORT, ray://HOST:PORT (from elsewhere) or local (one that is started here)
        overwrite: replace what another sweep left in the folder
        json: print what came of it as JSON
    """
    from .sweep import run

    return run(file, out, workers, ray, overwrite, json)


def evaluate(
    env: Annotated[Positional[str | None], arg(metavar="ENV", help_behavior_hint="")] = None,
    *,
    agents: Annotated[str | None, arg(aliases=["--agent"], metavar="NAMES", help_behavior_hint="")] = None,
    suite: OptionalText = None,
    instances: OptionalText = None,
    seeds: Annotated[str, arg(metavar="SEEDS")] = "0",
    reference: OptionalText = None,
    sweep: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="OPTION=VALUES")] = (),
    out: OptionalText = None,
    overwrite: bool = False,
    batch: int = 64,
    agent_seed: int = 0,
    device: str = "auto",
    anytime: Annotated[tuple[str, ...] | None, arg(metavar="SECONDS", help_behavior_hint="")] = None,
    hindsight: Annotated[float | None, arg(metavar="SECONDS", help_behavior_hint="")] = None,
    workers: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None,
    ray: Annotated[str | None, arg(metavar="ADDRESS", help_behavior_hint="")] = None,
    json: bool = False,
) -> int:
    """Compare agents on an environment: the same instances, the same seeds, every schedule checked.

    Args:
        env: an id with options, for example makespan/JobShop-v0:law=bernoulli:p=0.005
        agents: a list by commas: mwkr,random:samples=64,checkpoints/job_shop_graph_ppo
        suite: instead of ENV, agents and worlds: quick (four minutes on two cores), full (some forty-five) or a file
            (./mine.toml), all problems at once, with aggregates over them
        instances: a list by commas of names, ranges (la01-la40), files (path/*.json) or
            random:size=15x15:count=100:seed=7; default what the environment plays by itself
        seeds: worlds: 0 or 0,7,9 or 0-99; each:5 gives every instance five of its own
        reference: the agent that the others are compared with; default best-rule, else the first rule
        sweep: an option of the environment with values, for example p=0,0.005; may be repeated
        out: folder for results.json, results.csv, summary.md, schedules and pictures; the same command continues it
        overwrite: replace what another evaluation left in the folder
        batch: worlds played at once; time per decision is measured at this batch
        agent_seed: seed of the agents' own randomness
        device: where networks run: auto, cpu, cuda
        anytime: compare at equal CPU seconds, each agent with as much work as fits: 0.1,1,10,60, or others by commas;
            writes anytime.csv, anytime.json and anytime.png
        hindsight: seconds in which a solver that is told every random event looks for the optimum of each world
        workers: processes that play; default as many as there are processors, once it takes longer than seconds
        ray: play on a Ray cluster, by default on all of its processors: auto (that of this machine), HOST:PORT,
            ray://HOST:PORT (from elsewhere) or local (one that is started here)
        json: print rows, table and notes as JSON
    """
    from ..eval.ladder import DEFAULT_BUDGETS
    from ..eval.plan import Request
    from .evaluate import run
    from .suite import run as run_suite

    budgets = DEFAULT_BUDGETS if anytime == () else None if anytime is None else ",".join(anytime)
    request = Request(
        env or "",
        agents or "",
        instances,
        seeds,
        reference,
        tuple(sweep),
        batch,
        agent_seed,
        device,
        budgets,
        hindsight,
    )
    if suite is not None:
        return run_suite(suite, request, out, overwrite, json, workers, ray)
    for name, given in (("ENV", env), ("--agents", agents)):
        if given is None:
            raise UserError(f"{name} is missing: give ENV and --agents, or --suite quick")
    return run(request, out, overwrite, json, workers, ray)


def optimise(
    instance: Annotated[Positional[str | None], arg(metavar="INSTANCE", help_behavior_hint="")] = None,
    *,
    out: Annotated[str, arg(metavar="FOLDER")],
    agent: str = "portfolio",
    seconds: float = 10.0,
    env: str = "makespan/JobShop-v0",
    start: OptionalText = None,
    seed: int = 0,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Find the best schedule of one instance in the time given. Ctrl-C keeps the best so far; the same command goes on.

    Args:
        instance: a name (ft06; with --env makespan/MemoryMapping-v0 resnet50_b64_64m), or the path of a file
            (./shop.csv, ./shop.json)
        out: folder for schedule.json, operations.csv, result.json, gantt.png and trace.json
        agent: who searches; portfolio is every rule, the trained scorers that ship, and solvers or searches for the
            rest of the time
        seconds: wall time
        env: an id with options, for example makespan/JobShop-v0:blocking=none, the shop in which parts may queue
            between machines (without it a finished part blocks its machine)
        start: file (JSON) that says where things stand now, to plan from there
        seed: seed of the agent's randomness
        overwrite: replace what another search left in the folder
        json: print the result as JSON, and no progress
    """
    from .optimise import run

    return run(instance, agent, seconds, out, env, start, seed, overwrite, json)


def show(
    results: Annotated[Positional[str], arg(metavar="FOLDER")],
    *,
    row: int = 0,
    agent: OptionalText = None,
    out: OptionalText = None,
    format: Annotated[_Format | None, _one_of(_Format), _UNSAID] = None,
) -> int:
    """Draw the schedule of one row of an evaluation again.

    Args:
        results: the folder that evaluate wrote
        row: number of the row in results.json, from 0; with --agent among that agent's rows
        agent: the agent whose rows are counted; default all
        out: a file: .png, .svg and .pdf hold the picture, .gif the animation where the environment has one, .txt the
            chart as text, .json the schedule; default the terminal
        format: how to draw where the file's name does not say it; perfetto is a Chrome trace (JSON), which
            ui.perfetto.dev opens
    """
    from .show import run

    return run(results, row, agent, out, format)


def envs(*, json: bool = False) -> int:
    """List the environments with their options.

    Args:
        json: print JSON
    """
    from .envs import run

    return run(json)


def check(env: Annotated[Positional[str], arg(metavar="ENV")], *, json: bool = False) -> int:
    """Test whether an environment keeps the contract, and say in words what is broken.

    Args:
        env: an id, for example makespan/JobShop-v0
        json: print JSON
    """
    from .check import run

    return run(env, json)


def trace(
    model: Annotated[Positional[str], arg(metavar="MODEL")],
    *,
    out: Annotated[str, arg(metavar="FILE")],
    input: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="SIDES")] = (),
    train: Annotated[_Optimiser | None, _one_of(_Optimiser), _UNSAID] = None,
    dtype: Annotated[_Dtype | None, _one_of(_Dtype), _UNSAID] = None,
    trips: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None,
    cmem: Annotated[float | None, arg(metavar="MIB", help_behavior_hint="")] = None,
    name: OptionalText = None,
    json: bool = False,
) -> int:
    """Turn a PyTorch module or a compiled XLA program into an instance of memory mapping.

    Args:
        model: module.py:Model, a class or function without arguments that makes a torch.nn.Module; or a file of
            scheduled HLO text (.hlo, .txt)
        out: the instance, a file that ends in .json
        input: sides of an input of the module, 8x3x224x224, or 8x128:int for whole numbers; one for each input
        train: trace a training step with this optimiser; the module must return the loss
        dtype: how numbers of floating point are stored; default bf16, for HLO the types in the text
        trips: how often a loop of HLO runs whose text does not tell
        cmem: size of CMEM; default 128
        name: what the instance is called; default the model's name
        json: print what it is like as JSON
    """
    from .trace import Request, run

    return run(Request(model, input, train, dtype, trips, cmem, name), out, json)


def certify(
    files: Annotated[Positional[tuple[str, ...]], arg(metavar="FILE", help_behavior_hint="")],
    *,
    records: OptionalText = None,
    keep: bool = False,
    json: bool = False,
) -> int:
    """Say whether solutions are valid, what they come to, and how they stand to the records held.

    Args:
        files: solutions: schedules as JSON, records, or folders that optimise wrote
        records: folder of records; default those that ship
        keep: put what is better than its record, and optimise wrote, into the folder of records
        json: print JSON
    """
    from .certify import run

    return run(files, records, keep, json)


def new(
    name: Annotated[Positional[str], arg(metavar="NAME")],
    *,
    out: OptionalText = None,
) -> int:
    """Write a package of your own: an environment that keeps the contract, with a rule, instances and tests.

    Args:
        name: of the package, for example my_problem
        out: the new folder; default the name, here
    """
    from .new import run

    return run(name, out)


def report(
    results: Annotated[Positional[tuple[str, ...]], arg(metavar="FOLDER", help_behavior_hint="")] = (),
    *,
    training: Annotated[tuple[str, ...], arg(metavar="FOLDER", help_behavior_hint="")] = (),
    out: OptionalText = None,
    schedules: int = 4,
    title: OptionalText = None,
    json: bool = False,
) -> int:
    """Write one HTML file about evaluations and training runs, which needs no network and no other file.

    Args:
        results: folders that evaluate wrote, or folders of such folders
        training: folders of training runs, whose curves are shown, or of checkpoints
        out: the file; default report.html in the first folder
        schedules: of how many agents a schedule is shown for each environment, the best and the reference first
        title: of the page
        json: print where it is as JSON
    """
    from .report import run

    return run(results, training, out, schedules, title, json)
