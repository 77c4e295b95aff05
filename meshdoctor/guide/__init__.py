"""The flowchart as data, its runner, and the ranking of verdicts into a diagnosis."""
