"""What each feature of the job shop's observation means, in words, for the page that lists them."""

from __future__ import annotations

_OPERATION = {
    "processing_time": "p",
    "head": "share of the job's work that lies before the operation",
    "tail": "share of the job's work that lies behind it",
    "work_remaining": "work of the job from this operation on",
    "operations_remaining": "share of the job's operations from this one on",
    "unreleased": "an operation before it is not completed",
    "waiting": "the job's next operation, not started",
    "processing": "on its machine and in process",
    "paused": "on its machine, which is down",
    "blocked": "completed, but its job still stands on the machine",
    "remaining_time": "processing time still to come, once started",
    "earliest_start": "lower bound of its start given who is where; its start once it has one",
    "earliest_completion": "lower bound of its completion; its completion once it has one",
}

_JOB = {
    "waiting": "outside the machines (or in a buffer), waiting for the next one",
    "processing": "in process",
    "paused": "on a machine that is down, with work left",
    "blocked": "finished where it stands, unable to leave",
    "done": "has left the shop",
    "may_move": "its action is legal now",
    "remaining_time": "processing time left of the operation on the machine",
    "work_remaining": "processing time left in all",
    "operations_remaining": "operations not completed",
    "waiting_time": "how long it has been waiting or blocked",
    "next_processing_time": "time of the operation after the present one",
    "next_machine_free": "the machine it wants next is empty",
    "next_machine_blocked": "another job blocks the machine it wants next",
    "next_machine_down": "the machine it wants next is down",
    "chain_length": "jobs ahead in the chain of who waits for whom",
    "chain_closes": "that chain comes back to this job: a swap to come, or a deadlock",
    "slack": "lower bound - now - work remaining",
}

_MACHINE = {
    "up": "in working order",
    "free": "empty",
    "processing": "holds a job that is in process or paused",
    "blocked": "holds a job that has finished here",
    "remaining_repair": "until it is up again, where that is announced (`repair_visible`)",
    "elapsed_repair": "since it went down",
    "remaining_time": "processing time that its occupant still needs",
    "queue_count": "jobs that wait for it now",
    "queue_work": "their processing times on it",
    "work_to_come": "processing times of all operations not completed on it",
    "operations_to_come": "how many those are",
    "time_to_known_window": "until its next announced down-time (`known_windows`)",
    "known_window_length": "length of that down-time",
}

_GLOBAL = {
    "time": "the clock",
    "done_jobs": "share of jobs that have left",
    "blocked_jobs": "share of jobs that are blocked",
    "processing_jobs": "share of jobs in process",
    "free_machines": "share of machines that are empty",
    "down_machines": "share of machines that are down",
    "legal_moves": "legal moves over jobs, WAIT not counted",
    "time_to_next_completion": "until the next operation is completed",
    "time_to_next_repair": "until the next announced repair",
    "longest_work_remaining": "work remaining of the job that has most",
    "most_machine_work_to_come": "work to come of the machine that has most",
    "jobs_per_machine": "jobs that have not left, per machine",
    "log_jobs": "ln n",
    "log_machines": "ln m",
    "blocking": "there are no buffers",
    "swaps": "swaps are possible",
    "breakdown_rate": "expected breakdowns of a machine per unit of up time",
    "mean_repair": "expected length of a repair",
    "repeats_after_breakdown": '`on_breakdown` is "repeat" and there are breakdowns',
    "loses_piece_at_breakdown": '`on_breakdown` is "scrap" and there are breakdowns',
}

_ACTION = {
    "processing_time": "p of the operation that would start",
    "work_remaining": "R: work of the job from that operation on",
    "work_remaining_after": "R - p",
    "operations_remaining": "N: operations from that one on",
    "waiting_time": "since the job began to wait; negative in construct mode where it is free only later",
    "flow_per_work_remaining": "F / R, with F the job's work up to and including the operation",
    "time_times_total_work": "p times the job's total work P",
    "work_in_next_queue": "work of others that wait for the job's next machine, and what its occupant still needs",
    "next_machine_occupied": "some job stands on the next machine",
    "work_remaining_unless_last": "R, or 0 where the operation is the job's last",
    "critical_ratio": "(B P / max P - now) / R, with B the lower bound",
    "is_last": "the operation is the job's last",
    "frees_a_machine": "the job leaves a machine by moving",
    "waiting_for_freed_machine": "share of jobs that wait for the machine it leaves",
    "rivals": "share of jobs, this one aside, that wait for the machine it would enter",
    "next_processing_time": "time of the operation after that",
    "next_machine_busy_time": "until the machine after that is expected to be done with what it holds",
    "next_machine_blocked": "a job blocks the machine after that",
    "next_machine_down": "the machine after that is down",
    "chain_length": "jobs ahead in the chain that begins at the machine after that",
    "closes_cycle": "the move would close a cycle of who waits for whom: a swap to come, or a deadlock",
    "machine_work_to_come": "work to come of the machine it would enter",
    "next_machine_work_to_come": "work to come of the machine after that",
    "slack": "lower bound - now - R",
    "start_delay": "earliest start, less the least over legal moves",
    "completion_delay": "earliest completion, less the least over legal moves",
    "job_free_minus_machine_free": "construct mode: when the job is free, less when the machine is",
    "total_work": "P: work of the whole job",
    "progress": "share of the job's operations before that one",
    "known_window_conflict": "how far the operation would reach beyond the begin of the machine's announced down-time",
    "is_wait": "the slot is WAIT",
    "time_to_next_event": "WAIT: until the next event that is known of",
}

MEANINGS = {
    (group, name): meaning
    for group, meanings in (
        ("operation", _OPERATION),
        ("job", _JOB),
        ("machine", _MACHINE),
        ("global", _GLOBAL),
        ("action", _ACTION),
    )
    for name, meaning in meanings.items()
}
