"""Ctrl-C: the first one asks an operation to stop in good order, a second one ends the process at once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130  # the exit code that shells give to a process ended by Ctrl-C

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on the first interrupt. On the second, exit without ceremony."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    stopping = threading.Event()
    previous = {number: signal.getsignal(number) for number in _SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (the signature is signal's)
        if stopping.is_set():
            os._exit(INTERRUPTED)  # the state on disk is whole at any time, so there is nothing to wait for
        stopping.set()
        stop()

    for number in _SIGNALS:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
