"""The job shop, blocking with swaps, with machines that break down."""
