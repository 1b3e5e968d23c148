"""Tests of the script that installs the CLIs of this repository's own pipeline."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.delivery import archives

CURL = """#!/bin/sh
while [ $# -gt 1 ]; do case $1 in --output) shift; to=$1 ;; esac; shift; done
echo "$1" >> "$SERVED/requests"
cp "$SERVED/${1##*/}" "$to"
"""
UNAME = "#!/bin/sh\necho $MACHINE\n"


class Machine:
    """A machine with a script to install, and a server that has the archives."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tools, self.served = folder / "tools", folder / "served"
        self._script = folder / "delivery" / "install.sh"
        self._script.parent.mkdir()
        shutil.copy(archives.TOOLS / "install.sh", self._script)
        archives.write(self.served, pulumi="#!/bin/sh\necho the CLI\n", aws="#!/bin/sh\necho for AWS\n")
        self.pin()
        commands = folder / "commands"
        commands.mkdir()
        for name, text in {"curl": CURL, "uname": UNAME}.items():
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(commands), prepend=":")
        monkeypatch.setenv("SERVED", str(self.served))
        monkeypatch.setenv("MACHINE", "x86_64")

    def pin(self) -> None:
        names = [self.served / name for name in archives.pinned()]
        self._script.with_name("SHA256SUMS").write_text(archives.sums(names))

    def install(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self._script, self.tools], capture_output=True, text=True)

    def says(self, program: str) -> str:
        return subprocess.run([self.tools / "bin" / program], capture_output=True, text=True, check=True).stdout

    @property
    def requests(self) -> list[str]:
        log = self.served / "requests"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(("kernel", "names"), [("x86_64", ("x64", "x86_64")), ("aarch64", ("arm64", "aarch64"))])
def test_both_clis_of_the_machines_processor_are_installed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, kernel: str, names: tuple[str, str]
) -> None:
    monkeypatch.setenv("MACHINE", kernel)
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert (machine.says("pulumi"), machine.says("aws")) == ("the CLI\n", "for AWS\n")
    pulumi, aws = machine.requests
    version = r"v\d+\.\d+\.\d+"
    released = rf"https://github\.com/pulumi/pulumi/releases/download/({version})/pulumi-\1-linux-{names[0]}\.tar\.gz"
    assert re.fullmatch(released, pulumi)
    assert re.fullmatch(rf"https://awscli\.amazonaws\.com/awscli-exe-linux-{names[1]}-\d+\.\d+\.\d+\.zip", aws)


def test_a_company_can_serve_them_itself(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_RELEASES", "https://mirror.example.com/pulumi")
    monkeypatch.setenv("AWS_CLI_RELEASES", "https://mirror.example.com/aws")
    assert machine.install().returncode == 0
    assert all(request.startswith("https://mirror.example.com/") for request in machine.requests)


def test_archives_of_a_cache_are_not_downloaded_again(machine: Machine) -> None:
    assert machine.install().returncode == 0
    before = machine.requests
    assert machine.install().returncode == 0
    assert machine.requests == before


def test_what_somebody_put_into_the_cache_is_replaced(machine: Machine) -> None:
    assert machine.install().returncode == 0
    [archive] = (machine.tools / "archives").glob("pulumi-*")
    archive.write_bytes(b"another")
    assert machine.install().returncode == 0
    assert machine.says("pulumi") == "the CLI\n"


@pytest.mark.parametrize("tool", ["pulumi", "awscli"])
def test_another_archive_than_the_pinned_one_is_refused_and_not_kept(machine: Machine, tool: str) -> None:
    for served in machine.served.glob(f"{tool}*"):
        served.write_bytes(served.read_bytes() + b"an attack")
    done = machine.install()
    assert done.returncode == 1
    assert re.search(rf"/{tool}\S+ is not the file whose checksum \S+/SHA256SUMS has", done.stderr)
    assert not list((machine.tools / "archives").glob(f"{tool}*")), "the next job would find it in the cache"
    assert not (machine.tools / "bin" / {"awscli": "aws"}.get(tool, tool)).exists()


def test_a_processor_without_clis_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MACHINE", "riscv64")
    done = machine.install()
    assert done.returncode == 1
    assert "no CLIs for riscv64" in done.stderr
    assert not machine.requests
