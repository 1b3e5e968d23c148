"""Errors outside the jobs of a build."""


class BuildError(Exception):
    """The pipeline could not be run; the message is for the person who started it."""
