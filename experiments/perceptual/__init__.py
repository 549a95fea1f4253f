"""Losses that ask for what a network sees."""
