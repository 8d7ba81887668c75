"""Decision trees that choose: one that scores action slots, and one that says which of two rules is played."""
