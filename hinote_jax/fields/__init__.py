"""One notion of a field: variables, axes, units, masks, packing."""
