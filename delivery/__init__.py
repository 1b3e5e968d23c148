"""Buildyard's own delivery: reports of what a merge request would change, and a stack's outputs as variables."""
