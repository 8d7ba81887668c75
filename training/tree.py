"""Training runs that fit a decision tree to labels: one that imitates another agent, and one that picks between rules.

Ross, Gordon & Bagnell, "A reduction of imitation learning and structured prediction to no-regret online learning",
AISTATS 2011 (DAgger): the learner plays, the teacher says what it would have done, and what is fitted is all that was
ever labelled. Bastani, Pu & Solar-Lezama, "Verifiable reinforcement learning via policy extraction", NeurIPS 2018,
do so with trees, and let decisions count by how much depends on them.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..agents.agent import Agent, Imagine
from ..agents.arena import Arena, Case, open_arena
from ..agents.catalogue import make_chooser
from ..agents.checkpoint import Arrays, dump_arrays, parse_arrays
from ..agents.planners.playouts import MEMORY
from ..agents.rules.agent import RuleAgent
from ..agents.rules.rule import named_rule
from ..agents.tree.agent import DasAgent, TreeAgent
from ..agents.tree.arrays import LEAF, Tree, read_tree, single_leaf
from ..agents.tree.inputs import join_inputs, slot_extremes, slot_inputs
from ..envs.core.errors import FieldError, UserError
from ..envs.core.extras import optional
from ..envs.core.files import atomic_write, read_bounded
from ..envs.core.player import play_out
from ..envs.core.random import combine
from .base import Run
from .books import Books
from .bridge import training_seed
from .validation import refuse_strange_objectives

MAX_BYTES = 2**30
MAX_ROWS = 100_000  # that a tree is fitted to: about ten seconds with a hundred and sixty inputs
_LEAST_ROWS = 4  # in a leaf: fewer are noise
_NOISY_SHARE = 0.02  # of all rows, in a leaf of das, whose labels are of one world each


class Labels(NamedTuple):
    """D labelled decisions, of which each has one row or several.

    Attributes:
        rows: float32 [R, .], what is said of a row by itself, one decision's rows after the other's.
        shared: float32 [D, .], what all rows of a decision have in common.
        counts: int64 [D], rows of each decision.
        targets: float32 [R], what the tree should say.
        weights: float32 [R].
        ranks: float64 [D], drawn uniformly: of too many decisions those of least rank are kept.
    """

    rows: NDArray[np.float32]
    shared: NDArray[np.float32]
    counts: NDArray[np.int64]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    ranks: NDArray[np.float64]

    def take(self, decisions: NDArray[np.int64]) -> Labels:
        """Some of the decisions, in this order."""
        ends = np.cumsum(self.counts)
        first = np.repeat(ends[decisions] - self.counts[decisions], self.counts[decisions])
        counts = self.counts[decisions]
        rows = first + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return Labels(
            self.rows[rows],
            self.shared[decisions],
            counts,
            self.targets[rows],
            self.weights[rows],
            self.ranks[decisions],
        )


_TYPES = {"counts": np.int64, "ranks": np.float64}


def no_labels(width: int, shared: int) -> Labels:
    """No decisions."""
    nothing = np.zeros(0, dtype=np.float32)
    rows, common = np.zeros((0, width), dtype=np.float32), np.zeros((0, shared), dtype=np.float32)
    return Labels(rows, common, np.zeros(0, dtype=np.int64), nothing, nothing, np.zeros(0, dtype=np.float64))


class Sample:
    """A uniform sample of all decisions that were ever labelled, as many as `most` rows hold.

    Args:
        width: of the rows.
        shared: width of what a decision's rows have in common.
        most: rows at most.

    Attributes:
        labels: the sample.
    """

    def __init__(self, width: int, shared: int, most: int = MAX_ROWS) -> None:
        self.labels = no_labels(width, shared)
        self._most = most
        self._waiting: list[Labels] = []
        self._waiting_rows = 0

    def add(self, labels: Labels) -> None:
        """Take more decisions."""
        self._waiting.append(labels)
        self._waiting_rows += len(labels.targets)
        if self._waiting_rows > self._most:  # now and then, so that a round need not be held in memory
            self.settle()

    def settle(self) -> None:
        """Bring `labels` up to date."""
        parts = [self.labels, *self._waiting]
        joined = Labels(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
        order = np.argsort(joined.ranks, kind="stable")
        kept = order[: int(np.searchsorted(np.cumsum(joined.counts[order]), self._most, side="right"))]
        self.labels, self._waiting, self._waiting_rows = joined.take(np.sort(kept)), [], 0

    def arrays(self) -> Arrays:
        """What `restore` takes up."""
        return dict(zip(Labels._fields, self.labels, strict=True))

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `arrays` gave.

        Raises:
            ValueError, LookupError: it is of another run.
        """
        found = Labels(**{name: arrays[name] for name in Labels._fields})
        decisions, rows = len(found.counts), len(found.targets)
        wanted = {"rows": (rows, self.labels.rows.shape[1]), "shared": (decisions, self.labels.shared.shape[1])}
        wanted |= {"counts": (decisions,), "ranks": (decisions,), "targets": (rows,), "weights": (rows,)}
        for name, array in zip(Labels._fields, found, strict=True):
            if array.shape != wanted[name] or array.dtype != _TYPES.get(name, np.float32):
                raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
        if (found.counts < 1).any() or found.counts.sum() != rows:
            raise ValueError(f"counts sum to {found.counts.sum()}, rows are {rows}")
        self.labels = found


def fit_tree(
    inputs: NDArray[np.float32],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    depth: int,
    leaves: int,
    least_rows: int,
    seed: int,
) -> Tree:
    """The tree of least weighted squared error that CART finds (Breiman, Friedman, Olshen & Stone, 1984), best first.

    For targets of 0 and 1 its splits are those of least Gini impurity.

    Args:
        inputs: float32 [R, inputs].
        targets, weights: float32 [R].
        depth, leaves: at most.
        least_rows: in a leaf.
        seed: which of equally good splits is taken.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    regressor = _regressor()(max_depth=depth, max_leaf_nodes=leaves, min_samples_leaf=least_rows, random_state=seed)
    found = regressor.fit(inputs, targets, sample_weight=weights).tree_
    leaf = found.children_left == -1
    # Rounded down: a float32 number is at most the threshold if and only if it is at most this.
    threshold = found.threshold.astype(np.float32)
    threshold = np.where(threshold > found.threshold, np.nextafter(threshold, np.float32(-np.inf)), threshold)
    return Tree(
        feature=np.where(leaf, LEAF, found.feature).astype(np.int32),
        threshold=np.where(leaf, np.float32(0.0), threshold).astype(np.float32),
        left=found.children_left.astype(np.int32),
        right=found.children_right.astype(np.int32),
        value=found.value[:, 0, 0].astype(np.float32),
    )


def _regressor() -> Any:
    """
    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    with optional("training a tree", "train", "scikit-learn"):
        from sklearn.tree import DecisionTreeRegressor
    return DecisionTreeRegressor


class TreeRun(Run):
    """A run in rounds: worlds are played, some of their decisions labelled, and a tree is fitted to all labels so far.

    Everything random in a round is drawn from the seed and its number, so that a run is resumed by its numbers, its
    tree and its labels. A subclass sets `_sample` up in `prepare`.

    Attributes:
        tree: the present one.
    """

    usual_depth = 12
    usual_leaves = 512
    usual_share = 1.0
    _sample: Sample

    def prepare(self) -> None:
        _regressor()
        config = self.config
        self._depth = config.tree_depth or self.usual_depth
        self._leaves = config.tree_leaves or self.usual_leaves
        self._share = config.tree_share or self.usual_share
        self.tree = single_leaf()
        self._round = 0
        self._decisions = 0
        self._arena = open_arena(self.env_id, config.label_worlds, self.env_options, device=config.device)

    @property
    def decisions(self) -> int:
        return self._decisions

    @property
    def network(self) -> dict[str, Any]:
        return {"kind": "tree", "depth": self._depth, "leaves": self._leaves}

    @property
    @abstractmethod
    def inputs(self) -> int:
        """How many inputs the tree has."""

    @abstractmethod
    def _label(self) -> float:
        """Play and label a round; returns the mean cost of its worlds."""

    @abstractmethod
    def _joined(self, labels: Labels) -> NDArray[np.float32]:
        """The inputs of all rows, float32 [R, inputs]."""

    def weights(self) -> Arrays:
        return self.tree._asdict()

    def take_up(self, weights: Arrays, source: str) -> None:
        self.tree = read_tree(weights, self.inputs, source)

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.tree.value).all())

    def learn(self, books: Books) -> None:
        books.open()
        self.progress.phase("training")
        while self._decisions < self.config.steps:
            books.between_updates()
            self._round += 1
            score = self.validation.setting.sign * self._label()
            self._sample.settle()
            self._fit()
            self.logger.record("tree/objective", score)
            self.progress.trained(self._decisions, score)

    def _fit(self) -> None:
        labels = self._sample.labels
        if labels.weights.any():
            inputs = self._joined(labels)
            least, seed = self._least_rows(len(inputs)), self.config.seed + self._round
            self.tree = fit_tree(inputs, labels.targets, labels.weights, self._depth, self._leaves, least, seed)
        self.logger.record("tree/leaves", self.tree.leaves)
        self.logger.record("tree/decisions", len(labels.counts))

    def _least_rows(self, rows: int) -> int:
        """In a leaf of a tree that is fitted to so many rows."""
        return _LEAST_ROWS

    def _begin_round(self, arena: Arena) -> np.random.Generator:
        """Reset an arena to a round's worlds; returns the round's randomness."""
        first = training_seed(self.config.seed, self._round)
        arena.reset([Case(None, first + number) for number in range(arena.num_copies)])
        return np.random.default_rng([self.config.seed, self._round])

    def _keys(self, arena: Arena, number: int) -> NDArray[np.uint64]:
        """Keys of a round's copies; `number` tells one use from another."""
        stream = np.uint64(combine(np.uint64(combine(self.config.seed, self._round)), number))
        return np.array([combine(stream, copy) for copy in range(arena.num_copies)], dtype=np.uint64)

    def _scales(self, arena: Arena) -> NDArray[np.float64]:
        """What costs are divided by so that they are in units of the reward, float64 [n]."""
        if arena.engine is None:
            return np.ones(arena.num_copies)
        return np.array([arena.engine.reward_scale(copy) for copy in range(arena.num_copies)], dtype=np.float64)

    def _mean_cost(self, arena: Arena) -> float:
        costs = arena.setting.sign * arena.objectives()
        refuse_strange_objectives(costs, self.env_id)
        return float(costs.mean())

    def save_state(self, path: Path) -> None:
        meta = {**vars(self.counters), "round": self._round, "decisions": self._decisions}
        arrays: Arrays = {f"tree.{name}": array for name, array in self.tree._asdict().items()}
        arrays.update({f"labels.{name}": array for name, array in self._sample.arrays().items()})
        arrays["meta"] = np.frombuffer(json.dumps(meta, allow_nan=False).encode(), dtype=np.uint8)
        atomic_write(path, dump_arrays(arrays))

    def load_state(self, path: Path) -> Mapping[str, Any]:
        arrays = parse_arrays(read_bounded(path, MAX_BYTES), str(path))
        try:
            meta = json.loads(arrays["meta"].tobytes())
            self._round, self._decisions = int(meta.pop("round")), int(meta.pop("decisions"))
            if min(self._round, self._decisions) < 0:
                raise ValueError(f"round {self._round}, decisions {self._decisions}")
            self.tree = read_tree(_under("tree.", arrays), self.inputs, str(path))
            self._sample.restore(_under("labels.", arrays))
        except UserError:
            raise
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not the state of such a run ({type(error).__name__}: {error})") from None
        return meta


def _under(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


class ImitationRun(TreeRun):
    """One run of DAgger on a tree that scores action slots.

    The teacher plays the first round alone. From then on the tree plays, and the teacher's actions are taken with a
    probability that halves with every round; a teacher that follows a plan plays every round alone. Of each labelled
    decision all legal slots are rows: the teacher's choice should score 1 and counts half, the others 0 and share the
    other half. A planner that estimates what each action costs teaches more: actions that are about as good share
    the target by softmax(-cost / temperature), and a decision counts by how far the shares lie apart.
    """

    def prepare(self) -> None:
        config, spec = self.config, self.spec
        if config.imitate is None:
            raise FieldError("option imitate", None, "an agent that the tree is to imitate")
        super().prepare()
        self._sample = Sample(len(spec.action_features), 2 * len(spec.action_features) + len(spec.globals))
        self._teacher = make_chooser(config.imitate, self._arena.setting)
        if self._teacher.samples > 1:
            raise UserError(f"agent {config.imitate!r} tries each world several times, so it cannot be imitated")
        if self._teacher.follows_plan:
            self._share = 1.0

    @property
    def inputs(self) -> int:
        return slot_inputs(self.spec)

    def player(self) -> Agent:
        return TreeAgent("tree", self.tree, self.validation.setting)

    def _label(self) -> float:
        if self._round > 1 and not self._teacher.follows_plan:
            return self._play(self._arena, self._share, 0.5 ** (self._round - 1))
        # As many labels as in other rounds: those whose share is small are of a teacher that takes its time.
        worlds = max(round(self._share * self.config.label_worlds), 1)
        arena = self._arena
        if worlds < arena.num_copies:
            arena = open_arena(self.env_id, worlds, self.env_options, device=self.config.device)
        return self._play(arena, 1.0, 1.0)

    def _play(self, arena: Arena, share: float, follow: float) -> float:
        """Play a round's worlds to their end.

        Args:
            arena: as many worlds as it has copies.
            share: of the decisions that the teacher labels.
            follow: probability of playing what the teacher says, where it is asked.
        """
        rng, teacher, n = self._begin_round(arena), self._teacher, arena.num_copies
        pupil = TreeAgent("tree", self.tree, arena.setting)
        instances = arena.instances() if teacher.reads_instances else []
        teacher.begin(np.arange(n, dtype=np.int64), instances, self._keys(arena, 0), arena.imagine())
        scales = self._scales(arena)
        agreed = labelled = 0
        while (running := arena.running()).any():
            observation, mask = arena.observation(), arena.masks()
            ranks, asking, following = rng.random((3, n))
            asked = running & (asking < share)
            if not teacher.follows_plan:
                asked &= mask.sum(axis=1) > 1
            own = pupil.act(observation, mask)
            played = own.copy()
            if asked.any():
                given = np.where(asked[:, None], mask, np.int8(0))
                costs = teacher.action_costs(observation, given)
                taught = teacher.act(observation, given) if costs is None else costs.argmin(axis=1)
                played = np.where(asked & (following < follow), taught, own)
                kept = np.flatnonzero(asked & (mask.sum(axis=1) > 1))
                if len(kept):
                    shares = self._shares(
                        taught[kept], None if costs is None else costs[kept], mask[kept], scales[kept]
                    )
                    self._note(observation, mask[kept] != 0, kept, shares, ranks[kept])
                    agreed += int((own == taught)[kept].sum())
                    labelled += len(kept)
            self._decisions += int(running.sum())
            arena.step(played)
        if labelled:
            self.logger.record("tree/agreement", agreed / labelled)
        return self._mean_cost(arena)

    def _shares(
        self,
        taught: NDArray[np.int64],
        costs: NDArray[np.float64] | None,
        mask: NDArray[np.int8],
        scales: NDArray[np.float64],
    ) -> NDArray[np.float32]:
        """What the tree should say of each slot, float32 [D, A]."""
        if costs is None:
            return (np.arange(mask.shape[1]) == taught[:, None]).astype(np.float32)
        regret = (costs - costs.min(axis=1, keepdims=True)) / scales[:, None]
        share = np.exp(-regret / self.config.imitate_temperature) * (mask != 0)
        return (share / share.sum(axis=1, keepdims=True)).astype(np.float32)

    def _note(
        self,
        observation: Mapping[str, NDArray[Any]],
        legal: NDArray[np.bool_],
        copies: NDArray[np.int64],
        shares: NDArray[np.float32],
        ranks: NDArray[np.float64],
    ) -> None:
        """Add the decisions of some copies to the sample."""
        features, state = observation["actions/features"][copies], observation["globals"][copies]
        least, greatest = slot_extremes(features, legal, len(self.spec.special_actions))
        counts = legal.sum(axis=1)
        spread = np.where(legal, shares, 0.0).max(axis=1) - np.where(legal, shares, 1.0).min(axis=1)
        weights = 0.5 * spread[:, None] * (shares + (1.0 - shares) / (counts[:, None] - 1))
        self._sample.add(
            Labels(
                features[legal],
                np.concatenate([least, greatest, state], axis=1),
                counts,
                shares[legal],
                weights[legal].astype(np.float32),
                ranks,
            )
        )

    def _joined(self, labels: Labels) -> NDArray[np.float32]:
        width = len(self.spec.action_features)
        shared = np.repeat(labels.shared, labels.counts, axis=0)
        return join_inputs(labels.rows, shared[:, :width], shared[:, width : 2 * width], shared[:, 2 * width :])


class DasRun(TreeRun):
    """One run that fits a tree over the globals which says when the slow rule is worth it.

    In each round the present tree plays, and now and then, less and less, one of the two rules instead. From a share of
    the states both rules play to the end of the same imagined world; which of them costs less is the label, by how much
    its weight.
    """

    usual_depth = 4
    usual_leaves = 16
    usual_share = 0.1

    def prepare(self) -> None:
        super().prepare()
        config, setting = self.config, self._arena.setting
        if setting.engine is None:
            raise UserError(
                f"agent 'das' cannot compare rules in {self.env_id!r}: it is plain Python without imagine()"
            )
        fast, slow = (
            named_rule(getattr(config, name), self.env_id, setting.options, f"option {name}")
            for name in ("das_fast", "das_slow")
        )
        self._rules = fast, slow
        self._sample = Sample(len(self.spec.globals), 0)

    @property
    def network(self) -> dict[str, Any]:
        fast, slow = self._rules
        return {**super().network, "kind": "das", "fast": fast.name, "slow": slow.name}

    @property
    def inputs(self) -> int:
        return len(self.spec.globals)

    def player(self) -> Agent:
        return DasAgent("das", self.tree, *self._rules, self.validation.setting)

    def _label(self) -> float:
        arena = self._arena
        rng, n = self._begin_round(arena), arena.num_copies
        imagine = arena.imagine()
        assert imagine is not None
        pupil, scales = DasAgent("das", self.tree, *self._rules, arena.setting), self._scales(arena)
        stray = 0.5 ** (self._round - 1)
        step = 0
        while (running := arena.running()).any():
            observation, mask = arena.observation(), arena.masks()
            ranks, asking, straying = rng.random((3, n))
            step += 1
            asked = np.flatnonzero((asking < self._share) & (mask.sum(axis=1) > 1))
            if len(asked):
                keys = self._keys(arena, step)[asked]
                fast, slow = (self._costs(imagine, asked, keys, rule) for rule in pupil.rules)
                self._note(observation["globals"][asked], (fast - slow) / scales[asked], ranks[asked])
            other = [rule.act(observation, mask) for rule in pupil.rules]
            played = np.where(straying < stray, np.where(np.arange(n) % 2 == 0, *other), pupil.act(observation, mask))
            self._decisions += int(running.sum())
            arena.step(played)
        return self._mean_cost(arena)

    def _costs(
        self, imagine: Imagine, copies: NDArray[np.int64], keys: NDArray[np.uint64], rule: RuleAgent
    ) -> NDArray[np.float64]:
        """What copies come to if a rule plays them to the end of the worlds of these keys."""
        costs = np.empty(len(copies))
        room = max(MEMORY // imagine(copies[:1], keys[:1]).copy_bytes, 1)
        for first in range(0, len(copies), room):
            part = slice(first, first + room)
            engine = imagine(copies[part], keys[part])
            play_out(engine, *rule.compiled_choice(len(copies[part])), observe=False)
            costs[part] = self._arena.setting.sign * engine.objectives()
        return costs

    def _least_rows(self, rows: int) -> int:
        return max(_LEAST_ROWS, round(_NOISY_SHARE * rows))

    def _note(self, state: NDArray[np.float32], gain: NDArray[np.float64], ranks: NDArray[np.float64]) -> None:
        """Add states to the sample, with what the slow rule gains in each."""
        tells = gain != 0
        count = int(tells.sum())
        self._sample.add(
            Labels(
                state[tells],
                np.zeros((count, 0), dtype=np.float32),
                np.ones(count, dtype=np.int64),
                np.sign(gain[tells]).astype(np.float32),
                np.abs(gain[tells]).astype(np.float32),
                ranks[tells],
            )
        )

    def _joined(self, labels: Labels) -> NDArray[np.float32]:
        return labels.rows
