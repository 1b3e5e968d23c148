"""Repeatable moto: within `repeatable`, ids and passwords come from a seed, and the time is fixed."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import moto.autoscaling.models
import moto.core.utils
import moto.ecr.models
from moto.moto_api._internal import mock_random


@contextmanager
def repeatable(seed: int, moment: float) -> Iterator[None]:
    """Run moto with this seed and this time (seconds since 1970).

    Moto takes every random value from `mock_random`, and the time from these three modules' `datetime` (the first holds
    `utcnow`, which nearly everything uses). Calls must not overlap: moto's state is global.
    """
    mock_random.seed(seed)
    clock = _stopped_at(moment)
    replaced: list[tuple[Any, Any]] = [
        (moto.core.utils, SimpleNamespace(**{**vars(datetime), "datetime": clock})),
        (moto.autoscaling.models, clock),
        (moto.ecr.models, clock),
    ]
    originals = [(module, module.datetime) for module, _ in replaced]
    try:
        for module, value in replaced:
            module.datetime = value
        yield
    finally:
        for module, value in originals:
            module.datetime = value


def _stopped_at(moment: float) -> type[datetime.datetime]:
    class StoppedClock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return datetime.datetime.fromtimestamp(moment, tz or datetime.timezone.utc)

        @classmethod
        def utcnow(cls) -> Any:
            return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).replace(tzinfo=None)

    return StoppedClock
