"""Exact solvers: models of the problems for CP-SAT and HiGHS."""
