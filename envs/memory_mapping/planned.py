"""Plans of memory mapping, for planners that keep one: the action of each access."""

from __future__ import annotations

from ..core.compile import compiled
from . import state as d


def plan_size(state: d.State) -> int:
    """Numbers in a plan: one for each access."""
    return state.action.shape[1]


@compiled
def note_plan(problem, state, i, plan):
    """The actions that the ended copy i has come to, those that a Drop-backup has changed as they are now."""
    for k in range(len(plan)):
        plan[k] = state.action[i, k]


@compiled
def follow_plan(problem, state, i, plan, decision):
    """The action of the access that is to be decided, if it is legal; else none."""
    action = plan[state.clock[i, d.POSITION]]
    if 0 <= action < d.NUM_ACTIONS and state.offer[i, action, d.ALLOWED] == 1:
        return action
    return -1
