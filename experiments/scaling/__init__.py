"""What many devices would give, on paper."""
