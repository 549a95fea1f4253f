"""Networks whose last layer meets their input, beside the same without it."""
