"""A stand-in for Pulumi's language plugin for Python, as far as these tests need it.

The real one, `pulumi-language-python`, comes with the CLI's archive and is in no package registry. This one answers the
CLI's questions, installs nothing, and runs a plugin's directory with this interpreter, as the real one does.
Protocol: https://github.com/pulumi/pulumi/blob/master/proto/pulumi/language.proto
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2


class LanguagePlugin(LanguageServer):
    """Answers for programs and plugins in Python."""

    def __init__(self) -> None:
        super().__init__(lambda: None)

    def Handshake(self, request, context):  # type: ignore[no-untyped-def]  # noqa: N802
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request, context):  # type: ignore[no-untyped-def]  # noqa: N802
        return plugin_pb2.PluginInfo(version="0.0.0")

    def RuntimeOptionsPrompts(self, request, context):  # type: ignore[no-untyped-def]  # noqa: N802
        return language_pb2.RuntimeOptionsResponse()

    def InstallDependencies(  # noqa: N802
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        yield language_pb2.InstallDependenciesResponse(stdout=b"This stand-in installs nothing.\n")

    def RunPlugin(  # noqa: N802
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Run the directory of a plugin, and pass on what it prints: first of all its port."""
        folder = Path(request.info.program_directory)
        environment = dict(each.split("=", 1) for each in request.env)
        with subprocess.Popen(
            [sys.executable, str(folder), *request.args],
            cwd=request.pwd,
            env=environment or None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            context.add_callback(process.terminate)
            for line in process.stdout or ():
                yield language_pb2.RunPluginResponse(stdout=line)
        yield language_pb2.RunPluginResponse(exitcode=process.returncode)


def main() -> None:
    """Print the port, then serve until the CLI ends."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})  # `sigwait` gets them
    size = 400 * 1024 * 1024
    options = [("grpc.max_receive_message_length", size), ("grpc.max_send_message_length", size)]
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=options)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguagePlugin(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
