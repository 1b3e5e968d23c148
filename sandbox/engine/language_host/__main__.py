"""The process that a program runs in: connects Pulumi's Python SDK to the engine, as Pulumi's own language host does.

Configuration comes in `PULUMI_CONFIG` and `PULUMI_CONFIG_SECRET_KEYS`, which the SDK reads, the rest by argument. What
goes wrong in the program is reported once, to the engine.
"""

import argparse
import asyncio
import logging
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pulumi
import pulumi.runtime
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a Pulumi program for the sandbox's engine.")
    parser.add_argument("program", help="directory of the program's __main__.py")
    parser.add_argument("--project", required=True)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--root", required=True, help="directory of Pulumi.yaml")
    parser.add_argument("--monitor", required=True, help="host:port of the engine's services")
    parser.add_argument("--parallel", type=int, required=True, help="how many steps the engine does at a time")
    parser.add_argument("--preview", action="store_true")
    arguments = parser.parse_args()

    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            project=arguments.project,
            stack=arguments.stack,
            root_directory=arguments.root,
            monitor=arguments.monitor,
            engine=_Engine(arguments.monitor),
            parallel=arguments.parallel,
            dry_run=arguments.preview,
            organization="organization",
        )
    )
    sys.argv = [arguments.program]
    # After a failure some of the SDK's futures are never awaited; asyncio's complaints about that help nobody.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    # Registrations wait in threads, more of them than steps run at a time, so that the engine never lacks work.
    with ThreadPoolExecutor(arguments.parallel * 4) as pool:
        return asyncio.run(_run(arguments.program, pool))


async def _run(program: str, pool: ThreadPoolExecutor) -> int:
    asyncio.get_running_loop().set_default_executor(pool)
    try:
        await pulumi.runtime.run_in_stack(lambda: _run_program(program))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
    except Exception as error:
        pulumi.log.error(_report(error, Path(program)))
    else:
        return 0
    return 1


class _Engine:
    """The engine's client, less the SDK's debug messages: five calls a resource that nobody would read."""

    def __init__(self, address: str) -> None:
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def Log(self, request: engine_pb2.LogRequest) -> None:  # noqa: N802 (the protocol's name)
        if request.severity != engine_pb2.DEBUG:
            self._stub.Log(request)

    def __getattr__(self, method: str) -> Any:
        return getattr(self._stub, method)


def _run_program(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


def _report(error: BaseException, program: Path) -> str:
    """The traceback from the program's own first frame on: what called it is of no interest to its author."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((index for index, frame in enumerate(frames) if _is_own(Path(frame.filename), program)), None)
    if first is None:
        return f"The program failed: {error}"
    lines = traceback.format_exception(type(error), error, error.__traceback__, limit=first - len(frames))
    return "The program failed:\n" + "".join(lines).rstrip()


def _is_own(file: Path, program: Path) -> bool:
    return program in file.parents and "site-packages" not in file.parts and file != Path(__file__)


if __name__ == "__main__":
    sys.exit(main())
