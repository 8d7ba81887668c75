"""The job shop's named dispatching rules, as pairs of (action feature, sign).

P = total work of the job, p = processing time of the operation that would start, R = work remaining including it,
N = operations remaining including it, F = work of the job up to and including it, a = time at which the job began to
wait. In construct mode, where no clock stands still, the present is the least earliest start over all jobs.
"""

from __future__ import annotations

from .rule import ConflictSet, Rule

_HAUPT = "Haupt, 'A survey of priority rule-based scheduling', OR Spektrum 11, 1989"
_PANWALKAR = "Panwalkar & Iskander, 'A survey of scheduling rules', Operations Research 25(1), 1977"
_SELS = "Sels, Gheysen & Vanhoucke, 'A comparison of priority rules for the job shop', IJPR 50(15), 2012"

_DISPATCHING = (
    Rule("spt", (("processing_time", 1),), f"shortest processing time: p. {_HAUPT}", handful=True),
    Rule("lpt", (("processing_time", -1),), f"longest processing time: -p. {_HAUPT}"),
    Rule("fifo", (("waiting_time", -1),), f"first in, first out: a. {_HAUPT}"),
    Rule("lifo", (("waiting_time", 1),), f"last in, first out: -a. {_PANWALKAR}"),
    Rule("mwkr", (("work_remaining", -1),), f"most work remaining: -R. {_HAUPT}", handful=True),
    Rule("lwkr", (("work_remaining", 1),), f"least work remaining (here also shortest remaining time): R. {_HAUPT}"),
    Rule(
        "fdd-mwkr",
        (("flow_per_work_remaining", 1),),
        f"flow due date over most work remaining: F / R. {_SELS}",
        handful=True,
    ),
    Rule("mopnr", (("operations_remaining", -1),), f"most operations remaining: -N. {_HAUPT}"),
    Rule("lopnr", (("operations_remaining", 1),), f"least operations remaining: N. {_PANWALKAR}"),
    Rule("spt-twkr", (("time_times_total_work", 1),), f"p times total work: p P. {_SELS}"),
    Rule(
        "lrm",
        (("work_remaining_after", -1),),
        f"longest work remaining after the operation: -(R - p). {_SELS}",
        handful=True,
    ),
    Rule("srm", (("work_remaining_after", 1),), f"shortest work remaining after the operation: R - p. {_SELS}"),
    Rule(
        "winq",
        (("work_in_next_queue", 1),),
        f"work in the next queue: times of the other jobs that wait for the next machine, and what its occupant still "
        f"needs; 0 for a last operation. {_HAUPT}",
    ),
    Rule(
        "nextfree",
        (("next_machine_occupied", 1), ("work_remaining_unless_last", -1)),
        "next machine free before occupied, then -R; a last operation counts as free with R = 0. Ours, for blocking "
        "shops; in construct mode no machine is ever occupied at the present",
        handful=True,
    ),
    Rule(
        "cr",
        (("critical_ratio", 1),),
        f"critical ratio: (B P / max P - t) / R with B the root lower bound as common allowance. {_PANWALKAR}",
    ),
    Rule(
        "est",
        (("start_delay", 1),),
        f"earliest start; at an epoch of the event mode all moves start now, so that it takes the lowest job. {_SELS}",
    ),
    Rule(
        "ect",
        (("completion_delay", 1),),
        f"earliest completion; in the event mode the same as spt. {_SELS}",
    ),
)

_CONFLICT_SET = ConflictSet("completion_delay", "processing_time", "machine")


def _active(rule: Rule) -> Rule:
    """The rule within Giffler and Thompson's conflict set."""
    source = f"active schedules (Giffler & Thompson, Operations Research 8(4), 1960), within them {rule.source}"
    return Rule(f"gt-{rule.name}", rule.keys, source, _CONFLICT_SET, {"mode": "construct"}, rule.handful)


def _non_delay(rule: Rule) -> Rule:
    """The rule among the operations that can start first: what it builds at the epochs of the event mode."""
    source = f"non-delay schedules (no machine waits that could work), among their operations {rule.source}"
    keys = (("start_delay", 1), *rule.keys)
    return Rule(f"nd-{rule.name}", keys, source, None, {"mode": "construct"}, rule.handful)


_FIRST = ("est", "ect")
"""Among operations that start together these are the rule of the lowest job, and ``spt``."""

RULES = (
    *_DISPATCHING,
    *(_active(rule) for rule in _DISPATCHING),
    *(_non_delay(rule) for rule in _DISPATCHING if rule.name not in _FIRST),
)
