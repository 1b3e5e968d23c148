"""What stops a build for a reason that is not in its jobs."""


class BuildError(Exception):
    """The pipeline could not be run; the message is for the person who started it."""
