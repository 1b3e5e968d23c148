"""A model of how long jobs wait for a place to run: `python -m benchmarks waiting`."""
