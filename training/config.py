"""What a training run is told, checked. Light to import: torch comes only with the run itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ..envs.core.errors import FieldError, UnknownNameError
from ..envs.core.names import parse_name

AGENTS = {
    "graph-ppo": "graph",
    "attention-ppo": "attention",
    "deepsocs": "hierarchical",
    "slots-ppo": "slots",
    "captain": "captain",
    "scorer": "scorer",
    "muzero": "muzero",
    "alphazero": "muzero",
    "mapper-order": "mapper-order",
    "dag-order": "dag-order",
    "tree": "tree",
    "das": "das",
    "sequoia": "sequoia",
}
"""Agents that can be trained, and the network of each."""
_NETWORKS = ("graph", "attention", "hierarchical", "slots", "captain")
ALGORITHMS = {
    "ppo": _NETWORKS,
    "es": ("scorer", "mapper-order", "dag-order"),
    "self-label": (*_NETWORKS, "scorer"),
    "search": ("muzero",),
    "dagger": ("tree",),
    "compare": ("das",),
    "q-learning": ("sequoia",),
}
"""How agents are trained, and the networks that each can train."""
NO_LIMIT = 10**12
"""Of decisions: more than any run comes to."""
ENCODERS = ("graph", "attention", "slots")
"""What may look at the observation for agents that are trained by search."""


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        env: the environment with its options, ``makespan/JobShop-v0:p=0.005:law=bernoulli``.
        agent: "graph-ppo", "attention-ppo", "deepsocs" (a network of tasks, jobs and all of them), "captain" (graph
            capsules, series, a pointer; its parts by ``captain:capsules=0``, see `CaptainConfig`) or "slots-ppo" (which
            sees the action slots and the globals alone), by PPO unless `algorithm` says otherwise; "scorer", by
            evolution strategies, for which of what follows only the options ``evolve_*`` count, and those on budget,
            validation and saving (the networks' other ones are ignored, `imitate` and `foresight` refused).
            "muzero" and "alphazero", by search on the model that they learn or on the imagined engine, for which the
            options from `encoder` to `reanalysis` count, `gamma`, `gradient_norm`, and those on size, batches, budget,
            validation and saving.
            "mapper-order", the order in which memory mapping's mapper places storages, and "dag-order", a list
            scheduler of static DAGs, train as "scorer" does; their `instances` are needed, and their decisions are
            whole mappings and plans.
            "sequoia" (``sequoia:index=0`` without the Lagrangian index to stand on, ``sequoia:search=sampled`` or
            ``iterative`` as the paper's DQNs choose), a Q-network of restless bandits' whole actions, for which
            `imitate_share` (of the budget that the fit to simulated returns takes), `replay`, `batch`,
            `learning_rate`, `gamma`, `gradient_norm` and those on budget, validation and saving count.
            "tree", a decision tree that imitates (`imitate` is needed), and "das", a tree that says which of two rules
            decides, for which the options ``tree_*``, ``das_*``, `label_worlds`, `imitate_temperature` and those on
            budget, validation and saving count.
        out: folder of the run.
        seed: of everything random in it.
        algorithm: "ppo", "es", or "self-label": the best of many plans that the policy draws is what it learns; by
            default the agent's own. Of what follows, ``label_*``, `epochs`, `batch`, `learning_rate`, the size of the
            network and `imitate` with its share count for self-labelling.
        instances: what is trained on, as the environment's option ``instance`` takes it; by default its own choice.
        held_out: what is validated on, likewise; by default other worlds of `instances`.
        steps: decisions to train for.
        minutes: wall time after which training ends in any case.
        start: a checkpoint of the same network, from whose weights training begins; by default fresh ones. Not with
            foresight.
        imitate: an agent (a rule, ``best-rule``, a checkpoint) to imitate first; by default none.
        imitate_steps: decisions of the warm start at most.
        imitate_share: of the minutes that the warm start may take.
        imitate_rate: learning rate of the warm start; falls linearly to a tenth.
        imitate_temperature: of a planner's estimates, in units of the reward: how much worse an action may be and still
            count as good.
        foresight: rules and scorers' checkpoints, joined by ``+``: the network sees what each action comes to if they
            go on from there, and starts from that; by default none. For ppo and alphazero.
        foresight_worlds: worlds imagined for that at each decision; 0 for the one in which nothing unforeseen happens.
        evolve_directions: of a scorer: directions of a generation, which moves its weights along and against each.
        evolve_worlds: of a scorer: fresh worlds of a generation, on which all that come of it are compared.
        evolve_sigma: of a scorer: how far weights are moved to see what comes of it; falls to a quarter.
        evolve_rate: of a scorer: learning rate; falls to a tenth.
        label_worlds: of self-labelling: fresh worlds of a round.
        label_tries: of self-labelling: plans drawn at each decision of a world, or at its start where nobody can look
            ahead.
        tree_depth: of trees: comparisons on the way to a leaf, at most; by default 12, and 4 for das.
        tree_leaves: of trees: leaves at most; by default 512, and 16 for das.
        tree_share: of trees: share of a round's decisions that are labelled; by default all, and a tenth for das.
        das_fast: of das: the rule that decides where the tree does not ask for the other.
        das_slow: of das: the other rule.
        encoder: of muzero and alphazero: "graph", "attention", or "slots" (features of action slots and globals alone,
            many times faster).
        simulations: of muzero and alphazero: evaluations of each search.
        unroll: of muzero: actions that the learned model is unrolled for.
        bootstrap: of muzero and alphazero: after how many decisions a search's value stands for the rest.
        replay: of muzero and alphazero: decisions that are kept, as far as two gibibytes hold them.
        reanalysis: of muzero and alphazero: kept states that are searched anew for every new decision.
        actors: workers that play for agent muzero, each with its copies, while this process learns; 0 for none.
        copies: environments played side by side.
        rollout: decisions per copy between updates.
        batch: decisions per gradient step; the last step of a pass takes what is left, which may not be a single one.
        epochs: passes over a rollout.
        learning_rate: of Adam; falls linearly to a tenth, by the share of `steps` or of `minutes` that is spent,
            whichever is larger. The share of time counts in hundredths, so that runs that end by `steps` long before
            are the same each time.
        gamma: discount per `time_scale` of simulated time; 1 where episodes end by themselves.
        gae_lambda, clip, entropy, value_weight, gradient_norm: PPO's constants.
        width, layers: size of the network.
        validate_every: seconds between validations.
        validation_worlds: held-out worlds of a validation.
        save_every: seconds between saves; what a kill loses at most.
        device: "auto" (a GPU where there is one), "cpu", "cuda".
        threads: of torch on the CPU; 0 takes all cores, which gains little with networks this small.
    """

    env: str
    agent: str
    out: str
    seed: int = 0
    algorithm: str | None = None
    instances: str | None = None
    held_out: str | None = None
    steps: int = NO_LIMIT
    minutes: float = 60.0
    start: str | None = None
    imitate: str | None = None
    imitate_steps: int = 1_000_000
    imitate_share: float = 0.4
    imitate_rate: float = 1e-3
    imitate_temperature: float = 0.02
    foresight: str | None = None
    foresight_worlds: int = 1
    evolve_directions: int = 16
    evolve_worlds: int = 24
    evolve_sigma: float = 0.2
    evolve_rate: float = 0.06
    label_worlds: int = 64
    label_tries: int = 32
    tree_depth: int | None = None
    tree_leaves: int | None = None
    tree_share: float | None = None
    das_fast: str = "met"
    das_slow: str = "min-min"
    encoder: str = "graph"
    simulations: int = 16
    unroll: int = 5
    bootstrap: int = 10
    replay: int = 100_000
    reanalysis: float = 0.5
    actors: int = 0
    copies: int = 128
    rollout: int = 32
    batch: int = 128
    epochs: int = 2
    learning_rate: float = 5e-4
    gamma: float = 1.0
    gae_lambda: float = 0.98
    clip: float = 0.2
    entropy: float = 0.02
    value_weight: float = 0.5
    gradient_norm: float = 0.5
    width: int = 32
    layers: int = 2
    validate_every: float = 60.0
    validation_worlds: int = 64
    save_every: float = 30.0
    device: str = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("env", "agent", "out", "device", "encoder"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise FieldError(f"option {name}", getattr(self, name), "a text that is not empty")
        for name in ("algorithm", "instances", "held_out", "start", "imitate", "foresight"):
            if not isinstance(getattr(self, name), str | None):
                raise FieldError(f"option {name}", getattr(self, name), "a text or nothing")
        name = parse_name(self.agent, "agent to train")
        if name.base not in AGENTS:
            raise UnknownNameError("agent to train", name.base, AGENTS)
        if self.algorithm is not None and self.algorithm not in ALGORITHMS:
            raise UnknownNameError("algorithm", self.algorithm, ALGORITHMS)
        if self.kind == "sequoia":
            wrong = name.options.keys() - {"index", "search"} or name.options.get("index", 1) not in (0, 1)
            if wrong or name.options.get("search", "local") not in ("local", "sampled", "iterative"):
                expected = "'sequoia', with index=0 and search=sampled or iterative if you like"
                raise FieldError("option agent", self.agent, expected)
            if self.imitate is not None or self.foresight is not None:
                raise FieldError("option agent", self.agent, "another with imitate or foresight")
        elif name.options and (self.kind not in _NETWORKS or name.options.keys() & {"kind", "width", "layers"}):
            raise FieldError("option agent", self.agent, f"{name.base!r} without these options")
        if self.kind not in ALGORITHMS[self.trainer]:
            fitting = " or ".join(repr(name) for name, kinds in ALGORITHMS.items() if self.kind in kinds)
            raise FieldError("option algorithm", self.algorithm, f"{fitting} for agent {self.agent!r}")
        if self.encoder not in ENCODERS:
            raise UnknownNameError("encoder", self.encoder, ENCODERS)
        for name in ("das_fast", "das_slow"):
            if not isinstance(getattr(self, name), str):
                raise FieldError(f"option {name}", getattr(self, name), "the name of a rule")
        for name in _RANGES:
            check_number(name, getattr(self, name))
        if self.trainer == "es" and self.imitate is not None:
            expected = "nothing by evolution; algorithm self-label can imitate"
            raise FieldError("option imitate", self.imitate, expected)
        if self.trainer == "compare" and self.imitate is not None:
            raise FieldError("option imitate", self.imitate, "nothing for agent 'das', which compares two rules")
        if self.trainer in _TREE_TRAINERS and self.start is not None:
            raise FieldError("option start", self.start, "nothing for trees, which are fitted anew in each round")
        if (self.kind in ALGORITHMS["es"] or self.trainer in _TREE_TRAINERS) and self.foresight is not None:
            raise FieldError("option foresight", self.foresight, f"nothing for agent {self.agent!r}")
        if self.foresight is not None and self.start is not None:
            raise FieldError("option start", self.start, "nothing with foresight")
        if self.foresight is not None and self.gamma != 1:
            raise FieldError("option gamma", self.gamma, "1 with foresight, whose rewards are differences of outcomes")
        if self.actors and self.agent != "muzero":
            raise FieldError("option actors", self.actors, f"0 for agent {self.agent!r}; muzero has actors")
        if self.batch > self.copies * self.rollout:
            raise FieldError("option batch", self.batch, f"at most copies x rollout = {self.copies * self.rollout}")
        if self.copies * self.rollout % self.batch == 1:  # advantages are divided by their spread, which one has not
            expected = f"no divisor of copies x rollout - 1 = {self.copies * self.rollout - 1}"
            raise FieldError("option batch", self.batch, expected)

    @property
    def kind(self) -> str:
        """The agent's kind of network."""
        return AGENTS[parse_name(self.agent).base]

    @property
    def network(self) -> dict[str, Any]:
        """The network that learns, as cards describe it, where it is one of `makespan.agents.networks.build`."""
        options = parse_name(self.agent).options
        return {"kind": self.kind, "width": self.width, "layers": self.layers, **options}

    @property
    def trainer(self) -> str:
        """The algorithm that trains."""
        if self.algorithm is not None:
            return self.algorithm
        usual = {"muzero": "search", "tree": "dagger", "das": "compare", "sequoia": "q-learning"}
        return "es" if self.kind in ALGORITHMS["es"] else usual.get(self.kind, "ppo")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrainConfig:
        """Read what `to_dict` wrote.

        Raises:
            UserError: a key is unknown or missing, or a value is wrong.
        """
        known = [item.name for item in fields(cls)]
        for key in data:
            if key not in known:
                raise UnknownNameError("option of a training run", key, known)
        for key in ("env", "agent", "out"):
            if key not in data:
                raise FieldError("training run", sorted(data), f"an object with the key {key!r}")
        return cls(**data)


_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "steps": (1, NO_LIMIT),
    "minutes": (0.0, 1e6),
    "imitate_steps": (1, 10**9),
    "imitate_share": (0.0, 1.0),
    "imitate_rate": (0.0, 1.0),
    "imitate_temperature": (1e-6, 1e6),
    "foresight_worlds": (0, 10_000),
    "evolve_directions": (1, 65_536),
    "evolve_worlds": (1, 65_536),
    "evolve_sigma": (1e-9, 1e3),
    "evolve_rate": (0.0, 1e3),
    "label_worlds": (1, 65_536),
    "label_tries": (1, 65_536),
    "tree_depth": (1, 64),
    "tree_leaves": (2, 16_384),
    "tree_share": (1e-6, 1.0),
    "simulations": (1, 100_000),
    "unroll": (1, 1000),
    "bootstrap": (1, 100_000),
    "replay": (1, 10**9),
    "reanalysis": (0.0, 1000.0),
    "actors": (0, 1024),
    "copies": (1, 65_536),
    "rollout": (1, 65_536),
    "batch": (2, 10**7),
    "epochs": (1, 1000),
    "learning_rate": (0.0, 1.0),
    "gamma": (0.0, 1.0),
    "gae_lambda": (0.0, 1.0),
    "clip": (0.0, 10.0),
    "entropy": (0.0, 10.0),
    "value_weight": (0.0, 100.0),
    "gradient_norm": (0.0, 1e6),
    "width": (4, 1024),
    "layers": (1, 32),
    "validate_every": (0.0, 1e9),
    "validation_worlds": (1, 100_000),
    "save_every": (0.0, 1e9),
    "threads": (0, 1024),
}
_AGENTS_OWN = ("tree_depth", "tree_leaves", "tree_share")  # options of which None is the agent's own default
_TREE_TRAINERS = ("dagger", "compare")


def check_number(name: str, value: object) -> None:
    """Raise where an option of a run that is a number is none, or out of its range.

    Raises:
        FieldError: it is.
    """
    if value is None and name in _AGENTS_OWN:
        return
    low, high = _RANGES[name]
    whole = isinstance(low, int)
    kinds = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise FieldError(f"option {name}", value, f"{'an integer' if whole else 'a number'} from {low} to {high}")


@dataclass(frozen=True)
class Preset:
    """Named defaults of a run: what they change, and what they are for."""

    purpose: str
    values: Mapping[str, Any] = field(default_factory=dict)


PRESETS = {
    "quick": Preset(
        "at most six minutes of training on two cores",
        {"minutes": 6.0, "validate_every": 30.0, "save_every": 15.0},
    ),
    "full": Preset("two hours on two cores, or less on a GPU", {"minutes": 120.0}),
}


def with_preset(name: str, config: TrainConfig, given: Mapping[str, Any]) -> TrainConfig:
    """The config with a preset's values, where `given` does not set them.

    Raises:
        UnknownNameError: there is no such preset.
    """
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    return replace(config, **{**PRESETS[name].values, **given})
