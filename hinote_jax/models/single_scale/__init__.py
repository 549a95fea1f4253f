"""Networks that enlarge a whole number of times."""
