"""Total weighted tardiness on one machine, as an environment for makespan."""
