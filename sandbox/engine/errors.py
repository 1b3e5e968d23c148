"""What can go wrong in the engine, said to the person who must act."""


class EngineError(Exception):
    """An operation cannot start or go on. Its message is complete: shown as it is, without a traceback."""


class StepError(EngineError):
    """One resource could not be brought to where the program wants it. Other resources may still go on."""


class CancelledError(EngineError):
    """The user interrupted the operation, so nothing new is begun."""

    def __init__(self) -> None:
        super().__init__("The operation was interrupted: nothing new is begun.")
