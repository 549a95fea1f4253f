"""Networks that are told the blur of their input, and others that learn it."""
