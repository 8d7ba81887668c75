"""The programs that ship, one JSON file each, and ``suite.json``, which lists the instances made of them.

Written by ``benchmarks/memory_mapping_suite.py``.
"""
