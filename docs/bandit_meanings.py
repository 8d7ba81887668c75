"""What each feature of the restless bandits' observation means, in words, for the page that lists them."""

from __future__ import annotations

_QUARTERS = {
    f"in_{quarter}_quarter_of_states": f"of four states this is state {number}"
    for number, quarter in enumerate(("first", "second", "third", "last"))
}

_ARM = {
    **_QUARTERS,
    "state": "number of the state",
    "reward_now": "what its state pays",
    "expected_passive": "expected reward of its next state if nothing is done",
    "expected_as_picked": "the same at the level at which the elements picked act on it",
    "gain_of_next_level": "what one level more is worth by the prices, see Gains",
    "level": "at which the elements picked act on it",
    "visits": "epochs in which it was acted on",
    "since_visit": "epochs since the last one; 1 where there was none",
    "chance_up_passive": "probability of a higher state if nothing is done, its neighbours as they are",
    "chance_up_treated": "the same at level 1",
    "best_reward": "of its best state",
    "joint_reward": "weights of the joint rewards that it is part of",
    "joint_ready": "share of the other arms of its joint rewards that are in the least state or above",
    "sick_neighbours": "share of its neighbours that are sick (contagion)",
    "reward_of_those_it_infects": "best rewards of the arms that suffer by it, by their shares",
    "visits_needed": "share of `min_visits` that is missing",
}

_ELEMENT = {
    "picked": "belongs to the action at hand",
    "may_be_picked": "can be completed to a feasible action",
    "use": "see the action's",
    "arms": "that it acts on",
}

_GLOBAL = {
    "epochs_passed": "actions that are complete",
    "epochs_left": "that are to come",
    "picked": "elements of the action at hand",
    "supply_used": "of hours, visits, edges of the walk, budget",
    "price": "of a level in an epoch, see Gains",
    "mean_state": "over arms",
    "arms_at_the_top": "share in the highest state",
    "must_visit": "no epoch is to spare for `min_visits`: arms must be visited now",
    "log_arms": "how many",
    "budget": "most elements of an action",
    "log_horizon": "epochs of an episode",
    "levels": "how many, the passive one included",
    "exactly": "an action has exactly so many elements as the budget says",
    "set_is_plain": "`cardinality`",
    "set_is_packing": "`linear` with coefficients of at least 0",
    "set_is_capacity": "`capacity`",
    "set_is_schedule": "`schedule`",
    "set_is_schedule_distinct": "`schedule` with distinct workers",
    "set_is_path": "`path`",
    "set_is_listed": "`linear`, all of whose actions are listed",
}

_ACTION = {
    "is_stop": "STOP",
    **_QUARTERS,
    "reward_now": "what the states of its arms pay",
    "myopic_gain": "what it adds to the expected reward of the next states, beside the elements picked",
    "joint_gain": "the part of that which joint rewards make",
    "index_gain": "what it adds by the prices, the present epoch's not paid, see Gains",
    "net_gain": "that less the price of its levels",
    "index_gain_per_use": "index gain over use, times the budget",
    "myopic_gain_per_use": "myopic gain over use, times the budget",
    "use": "hours over all workers' hours; two visits over all; edges added to the walk over its length; "
    "else 1 over the budget",
    "visits": "of its arms so far",
    "since_visit": "of its arms",
    "level": "of its arms by the elements picked",
    "chance_lost_to_neighbours": "by how much sick neighbours lower the chance of going up untreated (contagion)",
    "joint_ready": "share of the other arms of joint rewards that are in the least state or above",
    "joint_picked": "share of them that the elements picked act on",
    "sick_neighbours": "share of its arms' neighbours (contagion)",
    "visits_needed": "the largest of its arms",
    "joint_outlook": "weights of its arms' joint rewards times how far the other arms of each are on their way to the "
    "least state, those picked a state further",
    "coupled_gain": "index gains of the arms coupled with its arms that the elements picked do not act on, by the "
    "coupling's weight: that of a joint reward over the largest, or by how much of a neighbour's contagion it makes",
    "coupled_gain_picked": "the same of those that the elements picked act on",
    "coupled_state": "states over the highest of all of them, by the same weights",
    "chance_up_untreated": "probability of a higher state if nothing is done, no neighbour sick",
    "chance_up_treated": "the same at level 1",
    "best_reward": "of its arms",
    "joint_reward": "weights of the joint rewards of its arms",
    "reward_of_those_it_infects": "best rewards of the arms that suffer by its arms, by their shares",
    "arms": "that it acts on",
}

MEANINGS = {
    (group, name): meaning
    for group, meanings in (
        ("arm", _ARM),
        ("element", _ELEMENT),
        ("acts_on", {"levels": "by how many levels the element raises the arm"}),
        ("couples", {"weight": "of their joint rewards over the largest; 1 for a street and for a neighbour"}),
        ("global", _GLOBAL),
        ("action", _ACTION),
    )
    for name, meaning in meanings.items()
}
