"""Facts and verdicts as rows, cells and words; no terminal in it."""
