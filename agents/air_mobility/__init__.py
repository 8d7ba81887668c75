"""Planners of an air fleet's day: flow models over a time-expanded network, genetic algorithms, and bounds."""
