"""The error of everything around the engine."""


class EngineError(Exception):
    """A command that could not be started or did not do its work; the message says why, and what to do."""
