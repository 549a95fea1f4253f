"""Look-up tables: SR-LUT and IM-LUT, as networks and as their tables."""
