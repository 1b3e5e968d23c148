"""Measurements of real builds, as in `make build`: what the cache saves, and what a pod costs besides the build."""
