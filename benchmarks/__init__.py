"""Speed and memory; `python -m benchmarks.run` prints one table."""
