"""Proposes a stack's projects from checked-out repositories: their Dockerfiles and their hand-written pipelines."""
