"""The scores of a published checkpoint on Set5, kept."""
