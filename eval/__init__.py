"""Evaluations: plans, rows, statistics, tables, pictures, suites and records."""
