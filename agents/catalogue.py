"""Agents by name: ``mwkr``, ``random:samples=64``, ``best-rule``, ``rollout:of=spt+mwkr``, ``checkpoints/x``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ..envs.core.engine import BatchEngine
from ..envs.core.errors import FieldError, UnknownNameError, UserError
from ..envs.core.names import Name, check_options, parse_name, split_list
from .agent import Agent, Proposer, Setting
from .plugins import PluginAgent, named_agents, registered_agents
from .rules.rule import Rule, applicable_rules, rules_of

_LARGEST_COUNT = 100_000
_MOST_ITERATIONS = 10**12
_LONGEST_TIME = 1_000_000
_WORLDS = 8  # that rollouts imagine where the world is stochastic


def make_agents(texts: str | Sequence[str], setting: Setting) -> list[Agent]:
    """Make several agents, given as a list or as one text with commas.

    Raises:
        UserError: see `make_agent`; or a name is given twice.
    """
    given = split_list(texts) if isinstance(texts, str) else list(texts)
    if len(set(given)) != len(given):
        raise UserError(f"agents {','.join(given)!r} name an agent twice")
    return [make_agent(text, setting) for text in given]


def make_agent(text: str, setting: Setting) -> Agent:
    """Make an agent by its name.

    Args:
        text: ``NAME[:key=value]...``: a rule of the environment, `random`, `best-rule`, a planner, a solver, or the
            path of a trained checkpoint (with a slash). Every agent takes ``samples=N``: N tries at each world, of
            which the best counts.
        setting: of the environment.

    Raises:
        UnknownNameError: nobody knows the name, or the agent does not know an option; the nearest is suggested.
        UserError: an option has a wrong value, or the agent cannot play this environment.
        MissingExtraError: it needs a package that is not installed.
    """
    name = parse_name(text, "agent")
    if name.is_path:
        from .learned import load_agent

        return load_agent(name, setting)
    kind = _kind_of(name, setting)
    check_options(name, "agent", ("samples", *kind.options))
    obstacle = kind.obstacle(setting)
    if obstacle is not None:
        raise UserError(f"agent {text!r} cannot play {setting.env_id!r} here: {obstacle}")
    agent = kind.make(name, setting)
    if "samples" in name.options:
        agent.samples = _count(name, "samples", 1)
    agent.name = str(name)
    return agent


def _kind_of(name: Name, setting: Setting) -> _Kind:
    """What an agent's name stands for: a rule, another package's agent, or one of ours, in this order.

    A package may so call its own solver `cp-sat`, where ours plays only our environments.

    Raises:
        UnknownNameError: nobody knows the name.
        UserError: another package's agent has the name of one of ours that plays here.
    """
    rules, others = rules_of(setting.env_id), registered_agents(setting.env_id)
    ours = _rule_kind(rules[name.base]) if name.base in rules else _KINDS.get(name.base)
    if name.base in others:
        if ours is not None and ours.obstacle(setting) is None:
            raise UserError(f"agent {name.base!r} is registered as {others[name.base].entry_point!r}, but it is ours")
        return _plugin_kind(others[name.base])
    if ours is None:
        raise UnknownNameError("agent", name.base, [*rules, *others, *_KINDS])
    return ours


def make_chooser(text: str, setting: Setting) -> Agent:
    """Make an agent that chooses, for whoever asks it step by step.

    Raises:
        UserError: see `make_agent`; or the agent proposes whole schedules.
    """
    agent = make_agent(text, setting)
    if isinstance(agent, Proposer):
        raise UserError(f"agent {text!r} proposes whole schedules and does not play; name one that chooses")
    return agent


def options_of(name: Name) -> tuple[str, ...]:
    """Options that an agent of ours or of another package takes beside `samples`; none for rules and checkpoints."""
    if name.base in _KINDS:
        return _KINDS[name.base].options
    return tuple(dict.fromkeys(option for agent in named_agents(name.base) for option in agent.options()))


def known_agents(setting: Setting) -> list[str]:
    """Names that `make_agent` takes under this setting: rules, agents of other packages, ours. Checkpoints are paths.

    Without rules `rollout` is listed, too, though it needs to be told which scorer goes on.
    """
    names = dict.fromkeys((*applicable_rules(setting.env_id, setting.options), *registered_agents(setting.env_id)))
    return [*names, *(name for name, kind in _KINDS.items() if name not in names and kind.obstacle(setting) is None)]


# --- options ----------------------------------------------------------------------------------------------------------


def _count(name: Name, key: str, default: int, least: int = 1, most: int = _LARGEST_COUNT) -> int:
    value = name.options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        expected = f"an integer from {least} to {most}"
        raise FieldError(f"option {key} of agent {name.base!r}", value, expected)
    return value


def _flag(name: Name, key: str, default: bool) -> bool:
    value = name.options.get(key, default)
    if value not in (0, 1) or isinstance(value, float):
        raise FieldError(f"option {key} of agent {name.base!r}", value, "true or false")
    return bool(value)


def _seconds(name: Name, key: str, default: float) -> float:
    value = name.options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST_TIME:
        raise FieldError(f"option {key} of agent {name.base!r}", value, f"seconds, above 0 and at most {_LONGEST_TIME}")
    return float(value)


def _share(name: Name, key: str, default: float) -> float:
    value = name.options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise FieldError(f"option {key} of agent {name.base!r}", value, "a number from 0 to 1")
    return float(value)


def _weight(name: Name, key: str) -> float:
    value = name.options[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST_COUNT <= value <= _LARGEST_COUNT:
        expected = f"a number from {-_LARGEST_COUNT} to {_LARGEST_COUNT}"
        raise FieldError(f"option {key} of agent {name.base!r}", value, expected)
    return float(value)


def _choice(name: Name, key: str, choices: Sequence[str]) -> str:
    """One of the choices, the first by default."""
    value = name.options.get(key, choices[0])
    if value not in choices:
        expected = " or ".join(repr(choice) for choice in choices)
        raise FieldError(f"option {key} of agent {name.base!r}", value, expected)
    return str(value)


# --- kinds ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kind:
    """A kind of agents.

    Attributes:
        options: its options beside `samples`.
        make: makes one.
        obstacle: why none can play under a setting; None where one can.
    """

    options: tuple[str, ...]
    make: Callable[[Name, Setting], Agent]
    obstacle: Callable[[Setting], str | None] = lambda setting: None


def _rule_kind(rule: Rule) -> _Kind:
    def make(name: Name, setting: Setting) -> Agent:
        from .rules.agent import RuleAgent

        given = {option: _weight(name, option) for option in options if option in name.options}
        return RuleAgent([rule.weighted(given)], setting)

    options = tuple(term.option for term in rule.terms)
    return _Kind(options, make, lambda setting: rule.obstacle(setting.options))


def _plugin_kind(agent: PluginAgent) -> _Kind:
    def make(name: Name, setting: Setting) -> Agent:
        return agent.make(setting, {key: value for key, value in name.options.items() if key != "samples"})

    return _Kind(agent.options(), make)


def _make_random(name: Name, setting: Setting) -> Agent:
    from .rules.agent import RandomAgent

    return RandomAgent(setting, wait=_flag(name, "wait", False))


def _without_rules(setting: Setting) -> str | None:
    if applicable_rules(setting.env_id, setting.options):
        return None
    return "it has no rules (a plug-in adds some by makespan.agents.rules.rule.register_rules)"


def _make_best_rule(name: Name, setting: Setting) -> Agent:
    from .rules.agent import RuleAgent
    from .rules.best_rule import best_rule

    if not _flag(name, "hindsight", False):
        rule = best_rule(setting)
        agent = RuleAgent([rule], setting)
        agent.remark = rule.name
        return agent
    if "samples" in name.options:
        raise UserError("agent 'best-rule': with hindsight=1 each rule is one try, so that samples cannot be given")
    rules = list(applicable_rules(setting.env_id, setting.options).values())
    return RuleAgent(rules, setting, samples=len(rules))


def _without_imagination(setting: Setting) -> str | None:
    if setting.engine is None:
        return "it is plain Python without imagine(), so nobody can look ahead in it"
    return None


def _make_rollout(name: Name, setting: Setting) -> Agent:
    from .planners.rollout import RolloutAgent

    worlds = _count(name, "worlds", _WORLDS if setting.stochastic else 1, least=0)
    return RolloutAgent(_rollout_bases(name, setting), setting, worlds, _flag(name, "wait", True))


def _rollout_bases(name: Name, setting: Setting) -> list[Agent]:
    """Those named by `of`; by default the environment's handful of rules, or all where it names none.

    Raises:
        UserError: see `make_bases`; or nobody is named, and the environment has no rules.
    """
    from .planners.bases import make_bases
    from .rules.agent import RuleAgent

    if "of" in name.options:
        bases = make_bases(str(name.options["of"]), setting, f"option of of agent {name.base!r}", trees=True)
        return [base.agent for base in bases]
    if _without_rules(setting):
        raise UserError("agent 'rollout' needs option of, the path of a scorer, where an environment has no rules")
    rules = list(applicable_rules(setting.env_id, setting.options).values())
    return [RuleAgent([rule], setting) for rule in ([rule for rule in rules if rule.handful] or rules)]


def _without_foreseeing(setting: Setting) -> str | None:
    obstacle = _without_imagination(setting)
    if obstacle is None and setting.engine is not None and setting.stochastic and not setting.engine.imagines_typical:
        return "it has no world in which nothing unforeseen happens; try 'rollout'"
    return obstacle


def _make_reconsider(name: Name, setting: Setting) -> Agent:
    from .planners.reconsider import ReconsiderAgent
    from .scorer.choice import TEMPERATURE

    names = [of.replace("@", ":") for of in str(name.options.get("of", "random")).split("+")]
    if "temperature" in name.options and not any("/" in of for of in names):
        raise UserError("agent 'reconsider': option temperature is for checkpoints, and of names none")
    temperature = name.options.get("temperature", TEMPERATURE)
    samplers = [
        make_chooser(f"{of}:temperature={temperature}" if "/" in of and ":temperature=" not in of else of, setting)
        for of in names
    ]
    seconds = _seconds(name, "time", 1.0) if "time" in name.options else None
    worlds = _count(name, "worlds", 0, least=0)
    if worlds and not setting.stochastic:
        raise UserError("agent 'reconsider': option worlds is for worlds with random events, and here are none")
    return ReconsiderAgent(samplers, setting, _count(name, "tries", 64), seconds, worlds, _first_planner(name, setting))


def _first_planner(name: Name, setting: Setting) -> Agent | None:
    """Who makes the first plan: any agent by its name, with the option `planning` as its `time`."""
    if "plan" not in name.options:
        if "planning" in name.options:
            raise UserError(f"agent {name.base!r}: option planning is the time of the first plan; it needs plan")
        return None
    planner = str(name.options["plan"])
    if "planning" in name.options:
        planner += f":time={_seconds(name, 'planning', 1.0)}"
    return make_chooser(planner, setting)


def _without_final_cost(setting: Setting) -> str | None:
    obstacle = _without_imagination(setting)
    if obstacle is None and setting.engine is not None and setting.engine.kernels.lower_bound is None:
        return "compiled code cannot tell there what a schedule costs"
    return obstacle


def _make_gumbel(name: Name, setting: Setting) -> Agent:
    from .muzero.agent import PlayoutSearchAgent
    from .muzero.playouts import TEMPERATURE, PlayoutSearch
    from .muzero.search import SearchConfig
    from .planners.bases import make_bases
    from .rules.agent import RuleAgent
    from .rules.best_rule import best_rule

    if "of" in name.options:
        bases = [base.agent for base in make_bases(str(name.options["of"]), setting, "option of of agent 'gumbel'")]
    elif _without_rules(setting):
        raise UserError("agent 'gumbel' needs option of, the path of a scorer, where an environment has no rules")
    else:
        bases = [RuleAgent([best_rule(setting)], setting)]
    if len(bases) > 1:
        raise FieldError("option of of agent 'gumbel'", name.options["of"], "one rule or one scorer")
    config = SearchConfig(_count(name, "simulations", 64))
    temperature = name.options.get("temperature", TEMPERATURE)
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 < temperature <= 100:
        raise FieldError("option temperature of agent 'gumbel'", temperature, "a number above 0 and at most 100")
    return PlayoutSearchAgent(PlayoutSearch(bases[0], config, float(temperature)), setting)


def _hidden_events(setting: Setting) -> str | None:
    if setting.stochastic:
        return "it holds events that nobody can foresee, so that no plan made at the start can be kept; try 'rollout'"
    return None


def _without_beam(setting: Setting) -> str | None:
    obstacle = _without_imagination(setting) or _hidden_events(setting)
    if obstacle is None and setting.engine is not None and setting.engine.kernels.lower_bound is None:
        return "it has no bound on what a partial schedule can reach"
    return obstacle


def _make_beam(name: Name, setting: Setting) -> Agent:
    from .planners.beam import BeamAgent

    return BeamAgent(setting, _count(name, "width", 100), _flag(name, "wait", True))


def _without_cp_sat(setting: Setting) -> str | None:
    """Why the exact solver cannot plan for this setting, or its plan cannot be kept."""
    if setting.env_id == MEMORY_MAPPING:
        return None
    if setting.env_id == STATIC_DAG:
        return without_makespan(setting)
    if setting.stochastic and setting.env_id == "makespan/JobShop-v0":
        return (
            "breakdowns that nobody can foresee cannot be planned for; use law=none (or windows with known_windows), "
            "or 'cp-plan', which repairs its plan as they come"
        )
    return _without_plan(setting)


def _without_plan(setting: Setting) -> str | None:
    """Why a plan that was made beforehand cannot be kept."""
    if setting.env_id != "makespan/JobShop-v0":
        return "it is no job shop"
    if not setting.options.get("allow_wait", True):
        return "an exact schedule waits at times; use allow_wait=true"
    if setting.options.get("deadlock", "end") == "banker":
        return "the banker's test would refuse moves of an exact schedule; use deadlock=end"
    return None


def _make_cp_sat(name: Name, setting: Setting) -> Agent:
    if setting.env_id == MEMORY_MAPPING:
        from .memory_mapping.cp_sat_agent import MemoryCpSatAgent as CpSatAgent
    elif setting.env_id == STATIC_DAG:
        from .soc.agent import DagCpSatAgent as CpSatAgent
    else:
        from .job_shop.cp_sat_agent import CpSatAgent

    warm = _flag(name, "warm", True)
    return CpSatAgent(setting, _seconds(name, "time", 60.0), _count(name, "workers", 1), warm)


def _make_cp_plan(name: Name, setting: Setting) -> Agent:
    from .job_shop.cp_plan import REPAIRS, CpPlanAgent

    seconds, warm = _seconds(name, "time", 60.0), _flag(name, "warm", True)
    repair = _choice(name, "repair", REPAIRS)
    if "retime" in name.options and repair != "resolve":
        raise UserError(f"agent {name.base!r}: option retime is the time of a new plan; it needs repair=resolve")
    retime = _seconds(name, "retime", seconds / 10)
    return CpPlanAgent(setting, seconds, _count(name, "workers", 1), warm, repair, retime)


def _limits(name: Name, counted: str = "iterations") -> tuple[float | None, int | None]:
    """(seconds, iterations) of a search, one of which is None; 60 seconds where nothing is said."""
    if counted not in name.options:
        return _seconds(name, "time", 60.0), None
    if "time" in name.options:
        raise UserError(f"agent {name.base!r}: option {counted} and option time exclude each other")
    return None, _count(name, counted, 1, most=_MOST_ITERATIONS)


def _make_amcc(name: Name, setting: Setting) -> Agent:
    from .job_shop.amcc import NOISE, Amcc
    from .job_shop.improving import ImprovementAgent

    noise = _share(name, "noise", NOISE)
    tries = 1 + _count(name, "restarts", 0, least=0)
    return ImprovementAgent(setting, name.base, partial(Amcc, noise=noise), None, tries, from_rules=False)


def _make_iterated_greedy(name: Name, setting: Setting) -> Agent:
    from .job_shop.improving import ImprovementAgent
    from .job_shop.iterated_greedy import IteratedGreedy

    return ImprovementAgent(setting, name.base, IteratedGreedy, *_limits(name))


def _without_lns(setting: Setting) -> str | None:
    obstacle = _without_plan(setting)
    if obstacle is None and setting.options.get("blocking", "swap") != "none":
        return "it plans windows of the classical shop, blocking=none; where jobs block try 'iterated-greedy'"
    return obstacle


def _make_lns(name: Name, setting: Setting) -> Agent:
    from .job_shop.improving import ImprovementAgent
    from .job_shop.neighbourhoods import NeighbourhoodSearch

    make = partial(NeighbourhoodSearch, workers=_count(name, "workers", 1))
    return ImprovementAgent(setting, name.base, make, *_limits(name))


def _make_job_insertion(name: Name, setting: Setting) -> Agent:
    from .job_shop.improving import ImprovementAgent
    from .job_shop.job_insertion import JobInsertion

    return ImprovementAgent(setting, name.base, JobInsertion, *_limits(name))


MEMORY_MAPPING = "makespan/MemoryMapping-v0"


def _not_memory_mapping(setting: Setting) -> str | None:
    return None if setting.env_id == MEMORY_MAPPING else "it is no memory mapping"


def _number(name: Name, key: str, default: float, least: float = 0.0) -> float:
    value = name.options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= _LONGEST_TIME:
        raise FieldError(f"option {key} of agent {name.base!r}", value, f"a number from {least:g} to {_LONGEST_TIME}")
    return float(value)


def _make_xla_like(name: Name, setting: Setting) -> Agent:
    from ..envs.memory_mapping.options import MemoryOptions
    from .memory_mapping.agent import XlaAgent
    from .memory_mapping.mapper import MapperOptions
    from .memory_mapping.orders import ORDERS

    default = MapperOptions()
    supply = setting.options.get("supply", MemoryOptions().supply)
    if setting.options.get("objective") == "proxy" and name.options.get("supply", supply) != supply:
        raise UserError(
            f"agent {name.base!r}: by the proxy run time only plans for the environment's supply {supply!r} compare, "
            f"but option supply is {name.options['supply']!r}"
        )
    options = MapperOptions(
        supply=_choice(name, "supply", ("elapsed", "contended")),
        preferred=_number(name, "preferred", default.preferred),
        minimum=_number(name, "minimum", default.minimum),
        maximum=_number(name, "maximum", default.maximum),
        repacks=_count(name, "repacks", default.repacks, least=0),
    )
    return XlaAgent(setting, options, _choice(name, "order", ORDERS))


def _make_trained_xla(name: Name, setting: Setting) -> Agent:
    from .memory_mapping.agent import TRAINED, XlaAgent

    return XlaAgent(setting, TRAINED)


def _make_tuned_xla(name: Name, setting: Setting) -> Agent:
    from .memory_mapping.agent import TunedXlaAgent

    return TunedXlaAgent(setting)


def _make_order_search(name: Name, setting: Setting) -> Agent:
    from .memory_mapping.agent import OrderSearchAgent

    return OrderSearchAgent(setting, *_limits(name, "orders"))


def _make_best_of_orders(name: Name, setting: Setting) -> Agent:
    from .memory_mapping.agent import RandomOrdersAgent

    if "time" in name.options:
        seconds, orders = _limits(name, "orders")
    else:  # each of several tries is one order
        seconds, orders = None, _count(name, "orders", 1 if "samples" in name.options else 60, most=_MOST_ITERATIONS)
    return RandomOrdersAgent(setting, seconds, orders)


def _make_game_search(name: Name, setting: Setting) -> Agent:
    from .memory_mapping.agent import GameSearchAgent

    return GameSearchAgent(setting, *_limits(name, "plays"))


STATIC_DAG = "makespan/StaticDag-v0"


def _not_static_dag(setting: Setting) -> str | None:
    """Why no plan made beforehand can be carried out to the letter."""
    if setting.env_id != STATIC_DAG:
        return "it is no static DAG scheduling"
    if setting.stochastic:
        return "nobody can foresee under these options how a plan ends; play a rule of the environment"
    if setting.options.get("contention", "none") != "none":
        return "its plans know of no transfers that wait for others; use contention=none"
    if setting.options.get("overhead_call", 0) or setting.options.get("overhead_task", 0):
        return "whole plans are not charged for decisions; use no overhead"
    return None


def without_makespan(setting: Setting) -> str | None:
    """Why an agent that makes the makespan least cannot play; None where it can."""
    obstacle = _not_static_dag(setting)
    if obstacle is None and setting.options.get("objective", "makespan") != "makespan":
        return "it makes the makespan least; use objective=makespan"
    return obstacle


def _make_list(name: Name, setting: Setting) -> Agent:
    from .soc.agent import ListAgent
    from .soc.lists import RULES

    rule = _choice(name, "rule", list(RULES))
    if "insertion" in name.options and RULES[rule].appends:
        raise UserError(f"agent {name.base!r}: rule {rule!r} knows no insertion")
    return ListAgent(setting, rule, _flag(name, "insertion", True) if "insertion" in name.options else None)


def _make_lookahead_heft(name: Name, setting: Setting) -> Agent:
    from .soc.agent import ListAgent

    return ListAgent(setting, "lookahead-heft", _flag(name, "insertion", True))


def _make_best_of_lists(name: Name, setting: Setting) -> Agent:
    from .soc.agent import BestOfListsAgent

    return BestOfListsAgent(setting)


def _make_dag_search(name: Name, setting: Setting) -> Agent:
    from .soc.agent import DagSearchAgent

    return DagSearchAgent(setting, *_limits(name, "changes"))


def _make_dag_ga(name: Name, setting: Setting) -> Agent:
    from .soc.agent import DagGeneticAgent

    return DagGeneticAgent(setting, *_limits(name, "generations"))


AIR_MOBILITY = "makespan/AirMobility-v0"


def _not_air_mobility(setting: Setting) -> str | None:
    return None if setting.env_id == AIR_MOBILITY else "it is no air mobility"


def _make_rolling(name: Name, setting: Setting) -> Agent:
    from .air_mobility.rolling import SLOTS, RollingAgent

    whole = name.base == "rolling-milp"
    slots = _count(name, "slots", SLOTS, least=3, most=144)
    return RollingAgent(setting, whole, slots, _seconds(name, "time", 10.0))


def _make_air_value(name: Name, setting: Setting) -> Agent:
    from .air_mobility.valuing import ValueAgent

    return ValueAgent(setting)


RESTLESS_BANDITS = "makespan/RestlessBandits-v0"


def _no_bandits(setting: Setting) -> str | None:
    return None if setting.env_id == RESTLESS_BANDITS else "it is no restless bandit"


def _make_bandit_policy(name: Name, setting: Setting) -> Agent:
    from .restless_bandits import policies
    from .restless_bandits.agent import PolicyAgent
    from .restless_bandits.sequoia import Sequoia

    seconds = _seconds(name, "time", _LONGEST_TIME)
    makers = {
        "random-feasible": lambda: policies.RandomFeasible,
        "sampled-best": lambda: partial(policies.SampledBest, samples=_count(name, "tries", policies.SAMPLES)),
        "myopic-exact": lambda: partial(policies.Myopic, seconds=seconds),
        "whittle": lambda: partial(
            policies.WhittleIndex, discount=_share(name, "discount", policies.DISCOUNT), seconds=seconds
        ),
        "index-milp": lambda: partial(policies.IndexProgram, seconds=seconds),
        "index-greedy": lambda: policies.IndexGreedy,
        "lp-update": lambda: partial(policies.LpUpdate, seconds=seconds),
        "sequoia": lambda: Sequoia,
        "index-rollout": lambda: partial(policies.IndexRollout, paths=_count(name, "paths", policies.PATHS)),
    }
    return PolicyAgent(setting, name.base, makers[name.base]())


def _make_air_genetic(name: Name, setting: Setting) -> Agent:
    from .air_mobility.genetic import BATCH, BATCH_BUDGET, DAY_BUDGET, Budget, GeneticAgent

    usual = DAY_BUDGET if name.base == "day-ga" else BATCH_BUDGET
    budget = Budget(
        _count(name, "population", usual.population, least=2, most=10_000),
        _count(name, "generations", usual.generations),
        _count(name, "days", usual.days, most=1000),
    )
    return GeneticAgent(setting, budget, 0 if name.base == "day-ga" else _count(name, "decisions", BATCH))


def _appraises_nothing(setting: Setting) -> str | None:
    if setting.stochastic:
        return "nobody can foresee under these options how a schedule ends"
    if setting.options.get("dead_end") == "terminate":
        return "plays may end there before their schedule is whole; use dead_end=backup"
    if setting.engine is None or setting.engine.appraise is BatchEngine.appraise:
        return "schedules count only if they are played in it"
    return None


def _make_hybrid(name: Name, setting: Setting) -> Agent:
    from .planners.hybrid import HybridAgent

    if "of" not in name.options:
        raise UserError("agent 'hybrid' needs option of: agents joined by +, hybrid:of=xla-like+keep-first")
    texts = [text.replace("@", ":") for text in str(name.options["of"]).split("+")]
    return HybridAgent(make_agents(texts, setting), setting)


_KINDS = {
    "xla-like": _Kind(
        ("supply", "preferred", "minimum", "maximum", "repacks", "order"), _make_xla_like, _not_memory_mapping
    ),
    "trained-xla": _Kind((), _make_trained_xla, _not_memory_mapping),
    "tuned-xla": _Kind((), _make_tuned_xla, _not_memory_mapping),
    "best-of-orders": _Kind(("time", "orders"), _make_best_of_orders, _not_memory_mapping),
    "order-search": _Kind(("time", "orders"), _make_order_search, _not_memory_mapping),
    "game-search": _Kind(("time", "plays"), _make_game_search, _not_memory_mapping),
    "list": _Kind(("rule", "insertion"), _make_list, _not_static_dag),
    "lookahead-heft": _Kind(("insertion",), _make_lookahead_heft, _not_static_dag),
    "best-of-lists": _Kind((), _make_best_of_lists, _not_static_dag),
    "dag-search": _Kind(("time", "changes"), _make_dag_search, without_makespan),
    "dag-ga": _Kind(("time", "generations"), _make_dag_ga, without_makespan),
    "rolling-lp": _Kind(("slots",), _make_rolling, _not_air_mobility),
    "rolling-milp": _Kind(("slots", "time"), _make_rolling, _not_air_mobility),
    "lp-value": _Kind((), _make_air_value, _not_air_mobility),
    "random-feasible": _Kind((), _make_bandit_policy, _no_bandits),
    "sampled-best": _Kind(("tries",), _make_bandit_policy, _no_bandits),
    "myopic-exact": _Kind(("time",), _make_bandit_policy, _no_bandits),
    "whittle": _Kind(("discount", "time"), _make_bandit_policy, _no_bandits),
    "index-milp": _Kind(("time",), _make_bandit_policy, _no_bandits),
    "index-greedy": _Kind((), _make_bandit_policy, _no_bandits),
    "lp-update": _Kind(("time",), _make_bandit_policy, _no_bandits),
    "sequoia": _Kind((), _make_bandit_policy, _no_bandits),
    "index-rollout": _Kind(("paths",), _make_bandit_policy, _no_bandits),
    "day-ga": _Kind(("population", "generations", "days"), _make_air_genetic, _not_air_mobility),
    "batch-ga": _Kind(("population", "generations", "days", "decisions"), _make_air_genetic, _not_air_mobility),
    "hybrid": _Kind(("of",), _make_hybrid, _appraises_nothing),
    "random": _Kind(("wait",), _make_random),
    "best-rule": _Kind(("hindsight",), _make_best_rule, _without_rules),
    "rollout": _Kind(("of", "worlds", "wait"), _make_rollout, _without_imagination),
    "reconsider": _Kind(
        ("of", "tries", "temperature", "time", "worlds", "plan", "planning"), _make_reconsider, _without_foreseeing
    ),
    "gumbel": _Kind(("of", "simulations", "temperature"), _make_gumbel, _without_final_cost),
    "beam": _Kind(("width", "wait"), _make_beam, _without_beam),
    "cp-sat": _Kind(("time", "workers", "warm"), _make_cp_sat, _without_cp_sat),
    "amcc": _Kind(("restarts", "noise"), _make_amcc, _without_plan),
    "iterated-greedy": _Kind(("time", "iterations"), _make_iterated_greedy, _without_plan),
    "lns": _Kind(("time", "iterations", "workers"), _make_lns, _without_lns),
    "job-insertion": _Kind(("time", "iterations"), _make_job_insertion, _without_plan),
    "cp-plan": _Kind(("time", "workers", "warm", "repair", "retime"), _make_cp_plan, _without_plan),
}
