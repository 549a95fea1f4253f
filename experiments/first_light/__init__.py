"""First light: the decoders at equal time."""
