"""What a mesh is: typed, immutable facts and their decoders."""
