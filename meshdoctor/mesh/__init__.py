"""What follows from the facts, as pure functions."""
