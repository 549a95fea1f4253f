"""The report of `make demo`, kept."""
