"""What is wrong with an episode of restless bandits, in words. Shares no code with the dynamics.

The luck of every move is recomputed from the episode's seed, and every action is held against its feasible set.
"""

from __future__ import annotations

import math

from .schedule import BanditSchedule

_MASK = 2**64 - 1
_TOLERANCE = 1e-6
_MOST = 20  # complaints


def validate(schedule: BanditSchedule) -> list[str]:
    """What is wrong with a schedule; empty when it is valid."""
    complaints = [*_shapes(schedule)]
    if complaints:
        return complaints
    complaints += _actions(schedule) + _moves(schedule) + _visits(schedule) + _objective(schedule)
    return complaints[:_MOST]


def _shapes(schedule: BanditSchedule) -> list[str]:
    instance = schedule.instance
    found = []
    if schedule.epochs > instance.horizon:
        found.append(f"there are {schedule.epochs} epochs, the horizon is {instance.horizon}")
    if schedule.states.shape != (schedule.epochs + 1, instance.num_arms):
        found.append(f"states have shape {schedule.states.shape}, expected {(schedule.epochs + 1, instance.num_arms)}")
    if schedule.actions.shape != (schedule.epochs, instance.num_elements):
        found.append(
            f"actions have shape {schedule.actions.shape}, expected {(schedule.epochs, instance.num_elements)}"
        )
    if not found:
        for t, row in enumerate(schedule.states.tolist()):
            wrong = [j for j, s in enumerate(row) if not 0 <= s < instance.num_states]
            if wrong:
                found.append(f"epoch {t}: arm {wrong[0]} is in state {row[wrong[0]]}, there are {instance.num_states}")
    return found


def _actions(schedule: BanditSchedule) -> list[str]:
    found = []
    for t, action in enumerate(schedule.actions):
        found += [f"epoch {t}: {text}" for text in schedule.instance.feasible.violations(action)]
    return found


def _moves(schedule: BanditSchedule) -> list[str]:
    """Moves that the law does not allow, or that are not those of the seed."""
    instance, found = schedule.instance, []
    known = schedule.seed >= 0
    for j in range(instance.num_arms):
        first = int(schedule.states[0, j])
        if instance.start[j, first] == 0.0:
            found.append(f"arm {j} begins in state {first}, which has probability 0")
        elif known and first != _by_luck(instance.start[j].tolist(), uniform(schedule.seed, 2, j)):
            found.append(f"arm {j} begins in state {first}, which is not where seed {schedule.seed} puts it")
    for t, action in enumerate(schedule.actions):
        law = instance.next_law(schedule.states[t], action)
        levels = instance.levels(action)
        for j in range(instance.num_arms):
            now, after, row = int(schedule.states[t, j]), int(schedule.states[t + 1, j]), law[j].tolist()
            where = f"epoch {t}: arm {j} goes from state {now} to {after} at level {levels[j]}"
            if row[after] == 0.0:
                found.append(f"{where}, which has probability 0")
            elif known and after != _moved(instance.up is not None, now, row, uniform(schedule.seed, 1, t, j)):
                found.append(f"{where}, which is not the luck of seed {schedule.seed}")
    return found


def _moved(is_birth_death: bool, now: int, row: list[float], luck: float) -> int:
    """Where an arm goes: up where the luck is below that probability; of chains the highest states take the least."""
    if is_birth_death:
        top = len(row) - 1
        up = row[min(now + 1, top)]
        return min(now + 1, top) if luck < up else max(now - 1, 0)
    return len(row) - 1 - _by_luck(row[::-1], luck)


def _by_luck(row: list[float], luck: float) -> int:
    """The first index at which the sum of probabilities is above the luck."""
    total = 0.0
    for k, chance in enumerate(row):
        total += chance
        if luck < total:
            return k
    return len(row) - 1


def _visits(schedule: BanditSchedule) -> list[str]:
    if not schedule.min_visits or schedule.epochs < schedule.instance.horizon:
        return []
    counts = (schedule.levels() > 0).sum(axis=0)
    return [
        f"arm {j} was visited {count} times, at least {schedule.min_visits} were to be"
        for j, count in enumerate(counts.tolist())
        if count < schedule.min_visits
    ]


def _objective(schedule: BanditSchedule) -> list[str]:
    metrics = schedule.metrics()
    expected = metrics["return" if schedule.reward == "realised" else "expected_return"]
    if math.isclose(schedule.objective, expected, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
        return []
    return [f"the objective is said to be {schedule.objective:.9g}, but the epochs pay {expected:.9g}"]


def uniform(seed: int, *keys: int) -> float:
    """U(seed, k1, k2, ...) in whole numbers: h = mix(seed), h = mix(h xor k) for each k, (h >> 11) / 2**53, with mix
    the step of splitmix64."""
    h = _mix(seed & _MASK)
    for key in keys:
        h = _mix(h ^ key)
    return (h >> 11) * 2.0**-53


def _mix(x: int) -> int:
    h = (x + 0x9E3779B97F4A7C15) & _MASK
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & _MASK
    return h ^ (h >> 31)
