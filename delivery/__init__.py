"""Buildyard's own delivery: what a merge request would change, and a stack's outputs."""
