"""Files that hold what a mesh looked like: raw recordings and their limits."""
