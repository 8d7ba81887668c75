"""Training runs: learners, their configuration and their folders."""
