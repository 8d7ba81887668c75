"""Networks that any environment's observation can be given to."""
