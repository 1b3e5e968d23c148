"""The process that the program runs in: Pulumi's language server for Python, from its SDK, on loopback.

The CLI connects to it, so that it needs no language plugin. `python -m sandbox.engine.language_host DIRECTORY` prints
the port, serves the program in that directory, and ends when its standard input does.
"""

import os
import runpy
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase
from pathlib import Path

import grpc
import pulumi
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

# As the SDK's own clients and servers: a generated pipeline is larger than gRPC's default of 4 MiB.
_MESSAGE_BYTES = 400 * 1024 * 1024


class LanguageHost(LanguageServer):
    """Runs the program in a directory, once for each preview and each update."""

    def __init__(self, directory: Path) -> None:
        super().__init__(lambda: self._run_program(directory))

    def Run(  # noqa: N802 (the protocol's name)
        self, request: language_pb2.RunRequest, context: grpc.ServicerContext
    ) -> language_pb2.RunResponse:
        """Run the program. An error is logged by then: `bail` keeps the CLI from printing it again."""
        response: language_pb2.RunResponse = super().Run(request, context)  # type: ignore[no-untyped-call]
        if response.error:
            return language_pb2.RunResponse(bail=True)
        return response

    def _run_program(self, directory: Path) -> None:
        with _printing_to(_Messages()):
            runpy.run_path(str(directory), run_name="__main__")


class _Messages(TextIOBase):
    """Turns what a program prints into messages of its stack, since the terminal is the CLI's."""

    def __init__(self) -> None:
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in filter(None, lines):
            pulumi.log.info(line)
        return len(text)


@contextmanager
def _printing_to(target: TextIOBase) -> Iterator[None]:
    with redirect_stdout(target), redirect_stderr(target):
        yield


def main() -> None:
    options = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=options)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(Path(sys.argv[1])), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    print(port, flush=True)
    server.wait_for_termination()


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
