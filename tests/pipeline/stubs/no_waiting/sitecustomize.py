"""Python as jobs run it, but nothing waits. $STUB_RECORD/waits has the seconds that a job would have waited."""

import os
import time
from pathlib import Path


def sleep(seconds: float) -> None:
    with Path(os.environ["STUB_RECORD"], "waits").open("a") as waits:
        waits.write(f"{seconds}\n")


if "STUB_RECORD" in os.environ:
    time.sleep = sleep  # type: ignore[assignment]
