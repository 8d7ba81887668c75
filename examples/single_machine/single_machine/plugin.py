"""What the package adds to makespan: an id and the dispatching rules of its problem. Imports nothing heavy."""

from gymnasium.envs.registration import register as register_env
from makespan.agents.rules.rule import Rule, register_rules

ENV_ID = "single-machine/WeightedTardiness-v0"

# The keys are action features of the observation; 1 takes the smallest value, -1 the largest.
RULES = (
    Rule("wspt", (("weight_per_time", -1),), "Smith, Naval Research Logistics Quarterly 3, 1956: largest w/p"),
    Rule("edd", (("due_date", 1),), "Jackson, UCLA Research Report 43, 1955: earliest due date"),
    Rule("wmdd", (("modified_due_date", 1),), "Kanet & Li, J. Scheduling 7, 2004: smallest max(p, d - t) / w"),
    Rule("atc", (("atc_priority", -1),), "Vepsalainen & Morton, Management Science 33, 1987: apparent tardiness cost"),
)


def register() -> None:
    """Called by `import makespan`."""
    register_env(id=ENV_ID, entry_point="single_machine.env:WeightedTardinessEnv")
    register_rules(ENV_ID, RULES)
