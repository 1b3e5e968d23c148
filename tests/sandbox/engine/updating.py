"""The process of `Bench.start_update`: one update, with its messages on standard output."""

import sys
from pathlib import Path

from sandbox.engine import operation
from sandbox.engine.display import Display, Terminal
from sandbox.engine.errors import EngineError
from tests.sandbox.engine.bench import Bench
from tests.sandbox.engine.fake_provider import FakeProvider

if __name__ == "__main__":
    stack = Bench(Path(sys.argv[1]), FakeProvider(), int(sys.argv[2])).stack()
    with Display(Terminal(), "Update") as display:
        try:
            report = operation.update(stack, display)
        except EngineError as error:
            sys.exit(str(error))
    sys.exit(130 if report.interrupted else 0 if report.ok else 1)
