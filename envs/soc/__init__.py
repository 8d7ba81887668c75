"""DAG scheduling on a heterogeneous chip: streams of jobs, and static DAGs."""
