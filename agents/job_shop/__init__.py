"""Agents of the job shop: exact models and their plans, and searches in the alternative graph."""
