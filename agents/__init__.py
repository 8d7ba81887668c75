"""Agents of every kind: rules, planners, exact solvers, searches, networks, and what makes them from a text."""
