"""Instances as the tables that compiled code reads, shared by all copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UserError
from . import state as d
from .appointments import VISITS, Appointments
from .capacity import Capacity
from .feasible import MOST_ENUMERATED, Cardinality, FeasibleSet, LinearSet
from .instance import BanditInstance
from .options import BanditOptions
from .prices import price_arms
from .walks import Walks

MOST_SLOTS = 12
MOST_EXACT_STOPS = 12


class Room(NamedTuple):
    """What tables and copies have room for."""

    arms: int
    elements: int
    levels: int
    states: int
    epochs: int
    hits: int
    joints: int
    joint_arms: int
    infects: int
    links: int
    chains: int  # arms of general chains; 1 where there are none
    rows: int
    hours: int
    bins: int
    slots: int
    subsets: int  # of slots
    workers: int
    search: int  # nodes of the search for distinct workers
    nodes: int
    stops: int
    members: int


class Model(NamedTuple):
    """An instance as it is played, and as whoever chooses knows it."""

    played: BanditInstance
    known: BanditInstance


def model_of(instance: BanditInstance, options: BanditOptions) -> Model:
    """An instance under the options at hand.

    Raises:
        UserError: it cannot be played under them.
    """
    feasible = instance.feasible
    if options.distinct_workers and isinstance(feasible, Appointments) and not feasible.distinct_workers:
        strict = Appointments(feasible.arm_slots, feasible.worker_slots, feasible.slots, feasible.budget, True)
        instance = instance.with_feasible(strict)
    known = instance if options.model_error == 0 else instance.estimated(options.model_error)
    return Model(instance, known)


def kind_of(feasible: FeasibleSet) -> int:
    """How compiled code decides what may join an action.

    Raises:
        UserError: it cannot, so that the set has no sequential view.
    """
    if isinstance(feasible, Cardinality):
        return d.PLAIN
    if isinstance(feasible, Capacity):
        return d.CAPACITY
    if isinstance(feasible, Walks):
        return d.WALK
    if isinstance(feasible, Appointments):
        if not feasible.distinct_workers and feasible.slots > MOST_SLOTS:
            raise UserError(f"schedules of {feasible.slots} slots cannot be played, at most {MOST_SLOTS}")
        return d.DISTINCT if feasible.distinct_workers else d.VISITS
    if isinstance(feasible, LinearSet) and feasible.down_closed:
        return d.PACKING
    if feasible.size <= MOST_ENUMERATED:
        return d.LISTED
    raise UserError(
        f"the feasible set {feasible.kind!r} over {feasible.size} elements cannot be played: its rows have negative "
        f"coefficients or lower limits, which can be completed by looking at all actions alone, up to "
        f"{MOST_ENUMERATED} elements"
    )


PLAIN_KINDS = (d.PLAIN, d.PACKING, d.CAPACITY, d.VISITS)


def is_plain(instance: BanditInstance) -> bool:
    """Whether compiled code needs neither what couples arms nor walks, lists and distinct workers, see `Pack`."""
    separable = instance.up is not None and not instance.joint and instance.contagion is None
    return separable and kind_of(instance.feasible) in PLAIN_KINDS


def room_of(instance: BanditInstance) -> Room:
    """What an instance needs."""
    feasible, arms, size = instance.feasible, instance.num_arms, instance.num_elements
    kind = kind_of(feasible)
    capacity = feasible if isinstance(feasible, Capacity) else None
    visits = feasible if isinstance(feasible, Appointments) else None
    near = 0 if instance.contagion is None else sum(map(len, instance.contagion.neighbours))
    return Room(
        arms=arms,
        elements=size,
        levels=instance.num_levels,
        states=instance.num_states,
        epochs=instance.horizon,
        hits=size if instance.effect is None else max(int((instance.effect > 0).sum()), 1),
        joints=max(len(instance.joint), 1),
        joint_arms=max(sum(len(one.arms) for one in instance.joint), 1),
        infects=max(near, 1),
        links=max(len(_links(instance)), 1),
        chains=1 if instance.up is not None else arms,
        rows=len(feasible.names) if kind == d.PACKING and isinstance(feasible, LinearSet) else 1,
        hours=1 if capacity is None else max(int(capacity.capacity.max()), int(capacity.cost.max())),
        bins=1 if capacity is None else min(size, capacity.budget) + 1,
        slots=1 if visits is None else visits.slots,
        subsets=2**visits.slots if visits and kind == d.VISITS else 1,
        workers=len(visits.worker_slots) if visits and kind == d.DISTINCT else 1,
        search=size * (len(visits.worker_slots) + 1) if visits and kind == d.DISTINCT else 1,
        nodes=size if kind == d.WALK else 1,
        stops=feasible.budget + 1 if kind == d.WALK else 1,
        members=len(feasible.members) if kind == d.LISTED else 1,
    )


def most_room(instances: Sequence[BanditInstance]) -> Room:
    """What the largest of instances need."""
    return Room(*(max(column) for column in zip(*map(room_of, instances), strict=True)))


def build(models: Sequence[Model | None], options: BanditOptions, room: Room) -> d.Problem:
    """The tables of instances; those of None, which cannot be played, stay empty.

    Raises:
        UserError: one cannot be played under the options.
    """
    count = len(models)
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "dims": ((d.NUM_DIMS,), np.int64),
        "scale": ((d.NUM_SCALES,), np.float64),
        "up": ((2, room.arms, room.levels), np.float64),
        "tail": ((2, room.chains, room.levels, room.states, room.states), np.float64),
        "reward": ((room.arms, room.states), np.float64),
        "start": ((room.arms, room.states), np.float64),
        "pay": ((room.arms, room.states, room.levels), np.float64),
        "gain": ((room.epochs, room.arms, room.states, room.levels), np.float32),
        "hit_first": ((room.elements + 1,), np.int32),
        "hit_arm": ((room.hits,), np.int32),
        "hit_level": ((room.hits,), np.int32),
        "part_first": ((room.arms + 1,), np.int32),
        "part": ((room.hits,), np.int32),
        "joint_first": ((room.joints + 1,), np.int32),
        "joint_arm": ((room.joint_arms,), np.int32),
        "joint_least": ((room.joints,), np.int32),
        "joint_weight": ((room.joints,), np.float64),
        "of_first": ((room.arms + 1,), np.int32),
        "of_joint": ((room.joint_arms,), np.int32),
        "near_first": ((room.arms + 1,), np.int32),
        "near": ((room.infects,), np.int32),
        "after_first": ((room.arms + 1,), np.int32),
        "after": ((room.infects,), np.int32),
        "link": ((2, room.links), np.int32),
        "link_weight": ((room.links,), np.float32),
        "use": ((room.elements,), np.float64),
        "per_use": ((room.elements,), np.float64),
        "row": ((room.rows, room.elements), np.float64),
        "limit": ((room.rows,), np.float64),
        "hours": ((room.hours + 1,), np.int32),
        "slots": ((room.elements,), np.int64),
        "free": ((room.subsets,), np.int32),
        "worker": ((room.workers,), np.int64),
        "hops": ((room.nodes, room.nodes), np.int16),
        "member": ((room.members,), np.int64),
        "cover": ((room.arms,), np.int32),
        "brief": ((room.arms, d.NUM_BRIEF), np.float32),
    }
    arrays: dict[str, Any] = {name: np.zeros((count, *shape), dtype=dtype) for name, (shape, dtype) in shapes.items()}
    problem = d.Problem(options.compiled(), **arrays)
    for r, model in enumerate(models):
        if model is not None:
            _fill(problem, r, model, options)
    return problem


def _fill(problem: d.Problem, r: int, model: Model, options: BanditOptions) -> None:
    instance = model.played
    arms, size = instance.num_arms, instance.num_elements
    _fill_arms(problem, r, model)
    _fill_elements(problem, r, instance)
    _fill_joint(problem, r, instance)
    _fill_contagion(problem, r, instance)
    _fill_feasible(problem, r, instance.feasible)
    links = _links(instance)
    for number, (u, v, weight) in enumerate(links):
        problem.link[r, :, number], problem.link_weight[r, number] = (u, v), weight
    problem.per_use[r, :size] = 1.0 / np.maximum(problem.use[r, :size] * instance.feasible.budget, d.LEAST_USE)
    dims, scale = problem.dims[r], problem.scale[r]
    dims[d.ARMS], dims[d.ELEMENTS], dims[d.LEVELS] = arms, size, instance.num_levels
    dims[d.STATES], dims[d.HORIZON] = instance.num_states, instance.horizon
    dims[d.CHAINS], dims[d.JOINTS] = instance.up is None, len(instance.joint)
    dims[d.INFECTS], dims[d.LINKS] = instance.contagion is not None, len(links)
    dims[d.HITS] = problem.hit_first[r, size]
    low, high = instance.reward_limits()
    top = max(float(np.abs(instance.reward).max()), *(abs(one.weight) for one in instance.joint), 1e-9)
    scale[d.TOP], scale[d.PER_TOP] = top, 1.0 / top
    scale[d.REWARD_SCALE] = max(instance.horizon * max(abs(low), abs(high)), 1e-9)
    scale[d.PER_HORIZON], scale[d.PER_LEVEL] = 1.0 / instance.horizon, 1.0 / (instance.num_levels - 1)
    scale[d.PER_STATE] = 1.0 / (instance.num_states - 1)
    scale[d.QUARTERS] = 4.0 / instance.num_states + 1e-12
    scale[d.FLOOR] = instance.horizon * low - scale[d.REWARD_SCALE]
    if instance.contagion is not None:
        scale[d.STRENGTH], scale[d.SICK] = instance.contagion.strength, instance.contagion.sick
    priced = price_arms(model.known)
    scale[d.PRICE] = priced.price
    problem.gain[r, : instance.horizon, :arms, : instance.num_states, : instance.num_levels] = priced.gain
    brief = problem.brief[r, :arms]
    brief[:, d.BRIEF_TREATED] = problem.up[r, d.KNOWN, :arms, 1]
    brief[:, d.BRIEF_BEST] = instance.reward.max(axis=1) / top
    for joint in instance.joint:
        brief[list(joint.arms), d.BRIEF_JOINT] += joint.weight / top
    if instance.contagion is not None:
        for j, near in enumerate(instance.contagion.neighbours):
            for other in near:
                brief[other, d.BRIEF_NEAR] += float(brief[j, d.BRIEF_BEST]) / len(near)
    if options.min_visits:
        _fill_cover(problem, r, instance, options.min_visits)


def _fill_arms(problem: d.Problem, r: int, model: Model) -> None:
    arms, levels, states = model.played.num_arms, model.played.num_levels, model.played.num_states
    for m, instance in ((d.TRUE, model.played), (d.KNOWN, model.known)):
        if instance.up is not None:
            problem.up[r, m, :arms, :levels] = instance.up
        else:
            rises = np.triu(np.ones((states, states)), 1)
            rises[-1, -1] = 1.0
            problem.up[r, m, :arms, :levels] = (instance.transition * rises).sum(axis=(2, 3)) / states
        if len(problem.tail[r, m]) >= arms:
            tails = np.flip(np.cumsum(np.flip(instance.transition, -1), -1), -1)
            problem.tail[r, m, :arms, :levels, :states, :states] = tails
    problem.reward[r, :arms, :states] = model.played.reward
    pay = np.einsum("jksz,jz->jsk", model.known.transition, model.played.reward)
    problem.pay[r, :arms, :states, :levels] = pay
    problem.start[r, :arms, :states] = np.cumsum(model.played.start, axis=1)


def _fill_elements(problem: d.Problem, r: int, instance: BanditInstance) -> None:
    arms, size = instance.num_arms, instance.num_elements
    effect = instance.effect
    if effect is None:
        each = np.minimum(np.arange(problem.hit_first.shape[1]), arms)
        problem.hit_first[r], problem.part_first[r] = each, np.minimum(np.arange(problem.part_first.shape[1]), arms)
        problem.hit_arm[r, :arms], problem.part[r, :arms], problem.hit_level[r, :arms] = each[:arms], each[:arms], 1
        return
    _chain(problem.hit_first[r], problem.hit_arm[r], [np.flatnonzero(effect[:, i]).tolist() for i in range(size)])
    _chain(problem.part_first[r], problem.part[r], [np.flatnonzero(effect[j]).tolist() for j in range(arms)])
    for i in range(size):
        first, end = problem.hit_first[r, i], problem.hit_first[r, i + 1]
        problem.hit_level[r, first:end] = effect[problem.hit_arm[r, first:end], i]


def _chain(first: NDArray[np.int32], items: NDArray[np.int32], rows: Sequence[Sequence[int]]) -> None:
    """Write lists one behind the other; lists beyond the given ones are empty."""
    first[0], at = 0, 0
    for number, row in enumerate(rows):
        items[at : at + len(row)] = row
        at += len(row)
        first[number + 1] = at
    first[len(rows) + 1 :] = at


def _fill_joint(problem: d.Problem, r: int, instance: BanditInstance) -> None:
    _chain(problem.joint_first[r], problem.joint_arm[r], [one.arms for one in instance.joint])
    for g, joint in enumerate(instance.joint):
        problem.joint_least[r, g], problem.joint_weight[r, g] = joint.least, joint.weight
    of = [[g for g, one in enumerate(instance.joint) if j in one.arms] for j in range(instance.num_arms)]
    _chain(problem.of_first[r], problem.of_joint[r], of)


def _fill_contagion(problem: d.Problem, r: int, instance: BanditInstance) -> None:
    arms = instance.num_arms
    near = [()] * arms if instance.contagion is None else instance.contagion.neighbours
    _chain(problem.near_first[r], problem.near[r], near)
    after: list[list[int]] = [[] for _ in range(arms)]
    for j, row in enumerate(near):
        for other in row:
            after[other].append(j)
    _chain(problem.after_first[r], problem.after[r], after)


def _links(instance: BanditInstance) -> list[tuple[int, int, float]]:
    """Edges that couple arms, both ways, with a weight: a common reward, a street, or whom an arm suffers by."""
    found: dict[tuple[int, int], float] = {}
    top = max((abs(one.weight) for one in instance.joint), default=1.0) or 1.0
    for joint in instance.joint:
        for u in joint.arms:
            for v in joint.arms:
                if u != v:
                    found[u, v] = found.get((u, v), 0.0) + joint.weight / top
    if instance.contagion is not None:
        for j, near in enumerate(instance.contagion.neighbours):
            found.update({(other, j): 1.0 for other in near})
    if isinstance(instance.feasible, Walks):
        for u, v in instance.feasible.edges:
            found[u, v] = found[v, u] = 1.0
    return [(u, v, weight) for (u, v), weight in sorted(found.items())]


def _fill_feasible(problem: d.Problem, r: int, feasible: FeasibleSet) -> None:
    dims, size = problem.dims[r], feasible.size
    kind = kind_of(feasible)
    dims[d.KIND], dims[d.BUDGET] = kind, feasible.budget
    problem.use[r, :size] = 1.0 / feasible.budget
    if isinstance(feasible, Cardinality):
        dims[d.EXACTLY] = feasible.exactly
    elif isinstance(feasible, Capacity):
        problem.use[r, :size] = feasible.cost / feasible.capacity.sum()
        dims[d.MOST_HOURS] = feasible.capacity.max()
        np.add.at(problem.hours[r], feasible.capacity, 1)
        problem.slots[r, :size] = feasible.cost
    elif isinstance(feasible, Appointments):
        problem.slots[r, :size] = [sum(1 << s for s in slots) for slots in feasible.arm_slots]
        problem.use[r, :size] = VISITS / max(sum(map(len, feasible.worker_slots)), 1)
        dims[d.SLOTS], dims[d.WORKERS] = feasible.slots, len(feasible.worker_slots)
        if kind == d.DISTINCT:
            workers = [sum(1 << s for s in slots) for slots in feasible.worker_slots]
            problem.worker[r, : len(workers)] = workers
        else:
            free = feasible.free_workers
            for subset in range(2**feasible.slots):
                problem.free[r, subset] = sum(free[s] for s in range(feasible.slots) if subset >> s & 1)
    elif isinstance(feasible, Walks):
        problem.hops[r, :size, :size] = feasible.distance
        problem.use[r, :size] = 2.0 * feasible.distance[feasible.depot] / max(feasible.length, 1)
        dims[d.DEPOT], dims[d.LENGTH] = feasible.depot, feasible.length
    elif kind == d.PACKING:
        assert isinstance(feasible, LinearSet)
        limited = np.isfinite(feasible.upper)
        rows, limits = feasible.matrix[limited], feasible.upper[limited]
        dims[d.ROWS] = len(rows)
        problem.row[r, : len(rows), :size], problem.limit[r, : len(rows)] = rows, limits + 1e-9
        if len(rows):
            problem.use[r, :size] = (rows / np.maximum(limits, 1e-9)[:, None]).max(axis=0)
    else:
        bits = feasible.members.astype(np.int64) @ (1 << np.arange(size, dtype=np.int64))
        dims[d.MEMBERS] = len(bits)
        problem.member[r, : len(bits)] = bits


def cover(feasible: FeasibleSet) -> list[list[int]]:
    """A partition of the elements into feasible actions, found greedily.

    Raises:
        UserError: an element is in no feasible action.
    """
    left, parts = np.ones(feasible.size), []
    while left.any():
        action = feasible.maximise(left)
        part = np.flatnonzero((action == 1) & (left > 0)).tolist()
        if not part:
            raise UserError(
                f"min_visits cannot be kept: arm {int(left.argmax())} is in no feasible action of the set "
                f"{feasible.kind!r}"
            )
        parts.append(part)
        left[part] = 0.0
    return parts


def cover_of(instance: BanditInstance, least: int) -> list[list[int]]:
    """The partition of the arms by which every arm gets `least` visits.

    Raises:
        UserError: it cannot be kept.
    """
    if instance.effect is not None or not instance.feasible.down_closed:
        raise UserError(
            f"instance {instance.name!r}: min_visits needs a set of arms each part of which is feasible, "
            "which this family does not have"
        )
    parts = cover(instance.feasible)
    if len(parts) * least > instance.horizon:
        raise UserError(
            f"instance {instance.name!r}: min_visits={least} cannot be kept: visiting every arm once takes "
            f"{len(parts)} epochs, {least} times {len(parts) * least}, but an episode has {instance.horizon}"
        )
    return parts


def _fill_cover(problem: d.Problem, r: int, instance: BanditInstance, least: int) -> None:
    parts = cover_of(instance, least)
    problem.dims[r, d.COVERS] = len(parts)
    for number, part in enumerate(parts):
        problem.cover[r, part] = number
