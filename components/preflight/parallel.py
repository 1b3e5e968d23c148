"""Questions at the same time: hundreds of them, one after the other, would take minutes."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

import pulumi_aws as aws

T = TypeVar("T")

_AT_ONCE = 16
_LAZY = (aws.ec2, aws.ecr, aws.eks, aws.iam, aws.resourcegroupstaggingapi, aws.servicequotas)
"""Modules that the SDK loads when they are first used. Two threads cannot do that at once."""


class Threads(ThreadPoolExecutor):
    """Threads that may call the functions of Pulumi's providers."""

    def __init__(self) -> None:
        super().__init__(_AT_ONCE)
        for module in _LAZY:
            hasattr(module, "__all__")  # asking for any attribute loads the module

    def ask(self, question: Callable[[], T]) -> Future[T]:
        """Begin to ask."""
        # Pulumi's SDK keeps the engine's connection in context variables.
        return self.submit(copy_context().run, _with_event_loop, question)


def together(questions: Iterable[Callable[[], T]]) -> list[T]:
    """The answers to all questions, in order."""
    with Threads() as threads:
        waiting = [threads.ask(question) for question in questions]
        return [each.result() for each in waiting]


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
