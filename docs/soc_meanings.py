"""What each feature of DAG scheduling's observation means, in words, for the page that lists them."""

from __future__ import annotations

_TASK = {
    "mean_time": "over the PEs that can run it",
    "least_time": "on its fastest PE",
    "spread": "longest time less the least",
    "upward_rank": "see Ranks",
    "downward_rank": "see Ranks",
    "eligible_share": "PEs that can run it",
    "critical": "on CPOP's critical path of its application",
    "dummy": "takes no time anywhere",
    "log_predecessors": "how many",
    "log_successors": "how many",
    "log_missing": "how many are not finished",
    "unreleased": "waits for predecessors",
    "offered": "can be assigned",
    "assigned": "in a PE's queue",
    "active": "runs",
    "done": "finished",
    "time_here": "mean time on its PE, once assigned",
}

_PE = {
    "up": "not broken down",
    "active": "runs a task",
    "free_delay": "until all that is assigned to it is expected to be finished",
    "log_queue": "tasks in its queue",
    "speed": "1 where all is fastest",
    "task_share": "tasks that it can run",
    "power": "of its kind with one active PE",
    "group_share": "PEs that are alike, itself included",
}

_JOB = {
    "age": "since its generation",
    "least_latency": "the least that its application can take",
    "tasks_left": "share that is not finished",
    "work_left": "least times of the tasks that are not finished",
    "mean_task_time": "of its application",
    "log_tasks": "of its application",
    "expected_delay": "until its last assigned task is expected to finish",
}

_GLOBAL = {
    "log_offered": "tasks that can be assigned, those beyond the window too",
    "beyond_window": "there are more than the window shows",
    "system_share": "jobs in the system by `queue_cap`",
    "waiting": "the generator waits at the cap",
    "active_share": "PEs that run a task",
    "mean_free_delay": "mean of the PEs' `free_delay`",
    "time_left": "share of the horizon; 1 for static problems",
    "load": "mean work of a job over what the PEs can do in a mean gap",
    "noise": "standard deviation over mean of task times",
    "log_tasks": "mean tasks of a job",
    "log_pes": "how many",
    "static": "a static problem",
    "assigned_release": '`release="assigned"`',
    "insertion": "gaps may be taken",
    "told_delay": "until this joint decision is told of",
    "planned_share": "tasks of the jobs in the system that are assigned",
    "work_left": "of all jobs in the system",
}

_ACTION = {
    "time": "mean time of the task on this PE",
    "mean_time": "of the task",
    "least_time": "of the task",
    "excess_time": "time here less the least",
    "fastest": "no PE takes less",
    "start_delay": "until the expected start here",
    "finish_delay": "until the expected finish here",
    "finish_over_best": "finish here less the least finish of the task",
    "best_finish_delay": "until the least finish of the task",
    "sufferage": "second least finish of the task less the least; the bound where one PE alone can run it",
    "data_delay": "until its data is expected here",
    "free_delay": "until all that is assigned to this PE is expected to be finished",
    "idle_gap": "expected start less that; negative where a gap is taken",
    "log_queue": "tasks that the PE runs or has in its queue",
    "blind_finish_delay": "until the finish if data took no time and no gap were taken",
    "upward_rank": "see Ranks",
    "downward_rank": "see Ranks",
    "priority": "the sum of both (CPOP)",
    "critical": "on CPOP's critical path",
    "off_processor": "is, and this PE is not of the group that CPOP gives the path to",
    "static_level": "see Ranks",
    "dynamic_level": "static level less the later of data and free delay, plus median time less time here (DLS)",
    "mean_oct": "mean over PEs of PEFT's table",
    "oct": "PEFT's table here",
    "finish_plus_oct": "finish delay plus that",
    "tail": "the least that follows the task, run here; see Ranks",
    "finish_plus_tail": "finish delay plus that",
    "job_age": "of the task's job",
    "job_least_latency": "of the task's job",
    "job_tasks_left": "of the task's job",
    "job_delay": "finish plus tail less the date at which the job could have been done",
    "position": "of the task among the offered, by the window",
    "log_successors": "how many",
    "log_released": "how many",
    "eligible_share": "PEs that can run the task",
    "group_idle": "PEs of the group that run nothing and have nothing queued; of HOLD: of all PEs",
    "group_free_delay": "the least of the group",
    "wanted": "how many",
    "energy": "time here times the power of one active PE",
    "rank_below_best": "greatest upward rank of the offered tasks less the task's",
    "finish_over_least": "finish here less the least of all offered tasks",
    "best_finish_over_least": "least finish of the task less that",
    "end_over_least": "finish plus tail less the least of all offered tasks",
    "job_work_left": "of the task's job",
    "job_work_over_least": "that less the least of the offered tasks' jobs",
    "waits": "orders HOLD between the best starts now and all else",
    "is_hold": "the action HOLD",
    "demand": "least times of these tasks, this one included",
    "fast_demand": "least times of these tasks",
}

MEANINGS = {
    (group, name): meaning
    for group, meanings in (
        ("task", _TASK),
        ("pe", _PE),
        ("job", _JOB),
        ("global", _GLOBAL),
        ("action", _ACTION),
    )
    for name, meaning in meanings.items()
}
