"""What leaves a recording before it is kept: whatever may be a secret, by allowlist, at capture."""
