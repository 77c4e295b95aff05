"""Reaching a cluster as kubectl does, read-only."""
