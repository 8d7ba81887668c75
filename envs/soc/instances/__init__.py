"""Platforms and applications that ship, in ``profiles.json``; written by ``benchmarks/soc_profiles.py``."""
