"""What an arm has to do with others, by the elements picked: joint rewards, contagion, and what they are worth."""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from .dynamics import chance_at_least, chance_of_joint
from .state import EPOCH, HORIZON, INFECTS, INSTANCE, KNOWN, PER_TOP


@compiled
def gain_of_level(problem, state, i, j, k):
    """What acting on arm j at level k is worth beyond passivity, by `prices`."""
    clock = state.clock[i]
    t = min(clock[EPOCH], problem.dims[clock[INSTANCE], HORIZON] - 1)
    return np.float64(problem.gain[clock[INSTANCE], t, j, np.int64(state.now[i, j]), k])


@compiled(when_plain=0.0)
def gain_of_joints(problem, state, i, j, old, new):
    """By how much raising arm j's level raises the expected joint rewards, all else at the levels at hand."""
    r, total = state.clock[i, INSTANCE], 0.0
    for place in range(problem.of_first[r, j], problem.of_first[r, j + 1]):
        g = np.int64(problem.of_joint[r, place])
        least = np.int64(problem.joint_least[r, g])
        more = chance_at_least(problem, state, i, KNOWN, j, new, least)
        more -= chance_at_least(problem, state, i, KNOWN, j, old, least)
        if more != 0.0:
            total += problem.joint_weight[r, g] * more * chance_of_joint(problem, state, i, KNOWN, g, j)
    return total


@compiled(when_plain=(0.0, 0.0))
def joint_shares(problem, state, i, j):
    """Which share of the other arms of arm j's joint rewards are ready now, and which share are acted on."""
    r, count, ready, picked = state.clock[i, INSTANCE], 0, 0, 0
    for place in range(problem.of_first[r, j], problem.of_first[r, j + 1]):
        g = problem.of_joint[r, place]
        for k in range(problem.joint_first[r, g], problem.joint_first[r, g + 1]):
            other = problem.joint_arm[r, k]
            if other != j:
                count += 1
                ready += state.now[i, other] >= problem.joint_least[r, g]
                picked += state.level[i, other] > 0
    return ready / max(count, 1), picked / max(count, 1)


@compiled
def joint_outlook(problem, state, i, j):
    """Weights of arm j's joint rewards, each times how far its other arms are on their way to the least state, those
    acted on a state further."""
    r, total = state.clock[i, INSTANCE], 0.0
    for place in range(problem.of_first[r, j], problem.of_first[r, j + 1]):
        g = problem.of_joint[r, place]
        least, way = problem.joint_least[r, g], problem.joint_weight[r, g]
        for k in range(problem.joint_first[r, g], problem.joint_first[r, g + 1]):
            other = problem.joint_arm[r, k]
            if other != j and least > 0:
                way *= min(state.now[i, other] + (state.level[i, other] > 0), least) / least
        total += way
    return total


@compiled
def coupled(problem, state, i, j):
    """Of the arms coupled with arm j, by weight: gains of those not acted on, of those acted on, and states of all."""
    r, idle, treated, height = state.clock[i, INSTANCE], 0.0, 0.0, 0.0
    for place in range(problem.of_first[r, j], problem.of_first[r, j + 1]):
        g = problem.of_joint[r, place]
        weight = problem.joint_weight[r, g] * problem.scale[r, PER_TOP]
        for k in range(problem.joint_first[r, g], problem.joint_first[r, g + 1]):
            other = np.int64(problem.joint_arm[r, k])
            if other != j:
                gain = weight * gain_of_level(problem, state, i, other, 1)
                idle += gain * (state.level[i, other] == 0)
                treated += gain * (state.level[i, other] > 0)
                height += weight * state.now[i, other]
    for place in range(problem.after_first[r, j], problem.after_first[r, j + 1]):
        other = np.int64(problem.after[r, place])
        weight = 1.0 / (problem.near_first[r, other + 1] - problem.near_first[r, other])
        gain = weight * gain_of_level(problem, state, i, other, 1)
        idle += gain * (state.level[i, other] == 0)
        treated += gain * (state.level[i, other] > 0)
        height += weight * state.now[i, other]
    return idle, treated, height


@compiled(when_plain=0.0)
def sick_share(problem, state, i, j):
    """Share of arm j's neighbours that are sick; 0 where nobody infects."""
    r = state.clock[i, INSTANCE]
    near = problem.near_first[r, j + 1] - problem.near_first[r, j]
    return state.sick[i, j] / near if problem.dims[r, INFECTS] == 1 and near > 0 else 0.0
