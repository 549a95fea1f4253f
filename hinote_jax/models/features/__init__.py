"""Networks of features: what a loss compares two fields by."""
