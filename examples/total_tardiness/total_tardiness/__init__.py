"""TotalTardiness: an environment of makespan's contract."""
