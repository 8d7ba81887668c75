"""Static DAG schedulers: list rules, searches and their agents; plans of whole instances."""
