"""One file per question of the flowchart."""
