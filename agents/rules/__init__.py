"""Rules: an order of the action slots by their features."""
