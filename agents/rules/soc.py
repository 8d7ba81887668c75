"""List schedulers as rules of DAG scheduling, as pairs of (action feature, sign).

Each compares the offered tasks on the groups of PEs that can run them. On `makespan/StaticDag-v0`, where a task is
offered when its predecessors are assigned, they are the classical algorithms; on a stream they plan the offered tasks
at each joint decision. Earliest finishes are in gaps of the expected timelines where the environment says
``insertion``, else at their ends. Within a group of PEs that are alike the one of least expected finish is taken.
"""

from __future__ import annotations

from .rule import Rule

_TOPCUOGLU = "Topcuoglu, Hariri & Wu, IEEE TPDS 13(3), 2002"
_IBARRA = "Ibarra & Kim, Journal of the ACM 24(2), 1977; Maheswaran et al., JPDC 59(2), 1999"
_BRAUN = "Braun et al., JPDC 61(6), 2001"
_MACK = "Mack et al., 'Performant, multi-objective scheduling of highly interleaved task graphs', IEEE TPDS 33(9), 2022"
_HOLD = (
    ", of the tasks that can start now on the PE where they finish first; where there is none, all are held back until "
    "something happens, so that none stands in a queue: ours, for hold=1"
)
_CONWAY = "Conway, Maxwell & Miller, Theory of Scheduling, 1967"

RULES = (
    Rule(
        "heft",
        (("upward_rank", -1), ("finish_delay", 1)),
        f"heterogeneous earliest finish time: greatest upward rank, then least finish. {_TOPCUOGLU}",
        handful=True,
    ),
    Rule(
        "cpop",
        (("priority", -1), ("off_processor", 1), ("finish_delay", 1)),
        "critical path on a processor: greatest upward plus downward rank; tasks of the critical path to its PE, "
        f"others to that of least finish. {_TOPCUOGLU}",
    ),
    Rule(
        "peft",
        (("mean_oct", -1), ("finish_plus_oct", 1)),
        "predict earliest finish time: greatest mean of the optimistic cost table, then least finish plus table entry. "
        "Arabnejad & Barbosa, IEEE TPDS 25(3), 2014",
        handful=True,
    ),
    Rule(
        "dls",
        (("dynamic_level", -1), ("finish_delay", 1)),
        "dynamic level scheduling: static level less the earliest start, plus median less own time. "
        "Sih & Lee, IEEE TPDS 4(2), 1993",
        handful=True,
    ),
    Rule(
        "etf",
        (("start_delay", 1), ("static_level", -1), ("finish_delay", 1)),
        "earliest task first, by start; ties by static level, then least finish. "
        "Hwang, Chow, Anger & Lee, SIAM J. Computing 18(2), 1989",
    ),
    Rule(
        "min-min",
        (("finish_delay", 1),),
        f"of all pairs the least finish (DS3 calls this ETF). {_IBARRA}",
        handful=True,
    ),
    Rule(
        "max-min",
        (("best_finish_delay", -1), ("finish_delay", 1)),
        f"the task whose least finish is greatest, where that is. {_IBARRA}",
    ),
    Rule(
        "sufferage",
        (("sufferage", -1), ("finish_delay", 1)),
        f"the task whose second least finish exceeds its least most. {_IBARRA}",
    ),
    Rule(
        "mct",
        (("position", 1), ("finish_delay", 1)),
        f"minimum completion time: tasks in their order, least finish. {_BRAUN}",
        handful=True,
    ),
    Rule(
        "met",
        (("position", 1), ("time", 1), ("finish_delay", 1)),
        f"minimum execution time: tasks in their order, least time; of equals the least finish. {_BRAUN}",
    ),
    Rule(
        "olb",
        (("position", 1), ("free_delay", 1), ("finish_delay", 1)),
        f"opportunistic load balancing: tasks in their order, the PE that is free first, of equals the least finish. "
        f"{_BRAUN}",
    ),
    Rule(
        "stf",
        (("least_time", 1), ("finish_delay", 1)),
        "shortest task first by its least time, least finish; of the SoCRATES study (Sung & Ryu, 2022)",
    ),
    Rule(
        "heft-rt",
        (("mean_time", -1), ("finish_delay", 1)),
        f"HEFT at run time, of the offered tasks only: greatest mean time, least finish, transfers counted. {_MACK}",
    ),
    Rule(
        "heft-rt-blind",
        (("mean_time", -1), ("blind_finish_delay", 1)),
        f"the same as coded there, blind for transfers. {_MACK}",
    ),
    Rule(
        "srpt",
        (("job_work_left", 1), ("finish_delay", 1)),
        f"shortest remaining processing time: the job with the least work left, then least finish. {_CONWAY}",
        handful=True,
    ),
    Rule(
        "srpt-hold",
        (("waits", 1), ("job_work_left", 1), ("finish_delay", 1)),
        f"shortest remaining processing time{_HOLD}",
        needs={"hold": True},
        special=True,
        handful=True,
    ),
    Rule(
        "heft-hold",
        (("waits", 1), ("upward_rank", -1), ("finish_delay", 1)),
        f"greatest upward rank, then least finish{_HOLD}",
        needs={"hold": True},
        special=True,
    ),
    Rule(
        "mct-hold",
        (("waits", 1), ("position", 1), ("finish_delay", 1)),
        f"tasks in their order, least finish{_HOLD}",
        needs={"hold": True},
        special=True,
    ),
)
