"""The bundle: one file that holds the moments of a recording, redacted, every part of it only once."""
