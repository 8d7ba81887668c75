"""MuZero-lite: model, tree search and self-play."""
