"""Questions to AWS and GitLab at the same time: hundreds of them, one after the other, would take minutes."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")

_AT_ONCE = 16


def together(questions: Iterable[Callable[[], T]]) -> list[T]:
    """The answers, in order. The questions may call functions of providers, but not `together`."""
    # Pulumi's SDK keeps the engine's connection in context variables.
    waiting = [(copy_context(), question) for question in questions]
    if not waiting:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(waiting))) as threads:
        return list(threads.map(lambda each: each[0].run(_with_event_loop, each[1]), waiting))


def _with_event_loop(question: Callable[[], T]) -> T:
    """Ask with an event loop of the thread's own, on which Pulumi's SDK waits for the engine."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return question()
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()
