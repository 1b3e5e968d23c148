"""Measurements of what Buildyard costs, each run reported as ratios: `make bench`."""
