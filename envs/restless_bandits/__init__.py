"""Coupled restless bandits: which arms to act on, where a combinatorial set says which may be acted on together."""
