"""Look-up tables trained on photographs whose licence is free."""
