"""Agents for coupled restless bandits: indices, programs over the feasible set, and SEQUOIA."""
