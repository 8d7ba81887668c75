"""Agents of memory mapping: mappers, their searches and their hints for compilers."""
