"""Speed and size figures, each reproducible by one command."""
