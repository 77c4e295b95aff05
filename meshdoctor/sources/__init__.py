"""Where facts come from: a recording or a live cluster."""
