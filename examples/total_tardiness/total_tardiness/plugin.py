"""What the package adds to makespan. `import makespan` calls `register`: import nothing heavy here."""

from gymnasium.envs.registration import register as register_env
from makespan.agents.plugins import register_agents
from makespan.agents.rules.rule import Rule, Term, register_rules

ENV_ID = "total-tardiness/TotalTardiness-v0"

# The keys are action features of the observation; 1 takes the smallest value, -1 the largest.
RULES = (
    Rule("edd", (("due_date", 1),), "Jackson, UCLA Research Report 43, 1955: earliest due date"),
    Rule("spt", (("processing_time", 1),), "Smith, Naval Research Logistics Quarterly 3, 1956: shortest first"),
    Rule("slack", (("slack", 1),), "least slack: due date minus processing time minus the clock"),
    Rule(
        "mdd",
        (("modified_due_date", 1), ("processing_time", 1)),
        "Baker & Bertrand, J. Operations Management 3, 1982: smallest max(t + p, d)",
        handful=True,
    ),
    Rule(
        "atc",
        (("atc_priority", -1),),
        "Vepsalainen & Morton, Management Science 33, 1987, with equal weights and a look-ahead of 2",
        handful=True,
    ),
    Rule(
        "mddc",
        (("mddc_score", 1), ("processing_time", 1), ("due_date", 1)),
        "Cetinkaya et al., arXiv 2510.24013, algorithm 2 (MDD Challenger)",
        handful=True,
    ),
    Rule(
        "mdd-short",
        (("modified_due_date", 1), ("processing_time", 1)),
        "ours: MDD plus the processing time, with a weight that falls from 1 to 0 while the first half is done",
        handful=True,
        terms=(Term("work_share", "share", ((0.0, 1.0), (0.5, 0.0))),),
        level="time",
    ),
)

AGENTS = {
    "psk": "total_tardiness.agents:PskAgent",
    "eddc": "total_tardiness.agents:EddcAgent",
    "search": "total_tardiness.agents:SearchAgent",
    "exact": "total_tardiness.agents:ExactAgent",
}


def register() -> None:
    """Register the id, its rules and the agents of the package."""
    register_env(
        id=ENV_ID,
        entry_point="total_tardiness.env:TotalTardinessEnv",
        vector_entry_point="total_tardiness.env:TotalTardinessVectorEnv",
    )
    register_rules(ENV_ID, RULES)
    register_agents(ENV_ID, AGENTS)
