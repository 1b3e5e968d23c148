"""Tests of what a build job does after the build: it tests, measures and lints."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipeline.scripts.faults import Fault
from tests.pipeline.published import HOST, files, jobs
from tests.pipeline.runner import SHELLS, Done, run
from tests.stacks.stack_settings import project

WEB = f"{HOST}/platform/images/web"


def job(**image: Any) -> dict[str, Any]:
    """The build job of an image with these keys."""
    return jobs(files(projects=[project({"name": "web", **image})]))["build-web:arm64"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("web --version && echo \"$HOME\" '%s' <<E\n", ["/bin/sh", "-c", "web --version && echo \"$HOME\" '%s' <<E\n"]),
        (["/web", "--check", "a b"], ["/web", "--check", "a b"]),
    ],
)
def test_the_test_is_a_run_in_the_image_that_was_pushed(
    tmp_path: Path, shell: list[str], command: Any, arguments: list[str]
) -> None:
    done = run(job(test=command), tmp_path, shell=shell)
    assert done.status == 0, done.output
    first, second = (done.record / "test.Dockerfile").read_text().splitlines()
    assert first == f"FROM {WEB}@sha256:built", "the test would say nothing about this build"
    assert second.startswith("RUN [")
    assert json.loads(second.removeprefix("RUN ")) == arguments
    assert "<<" not in second, "BuildKit would read the next lines as a here-document"
    asked = (done.record / "test").read_text().split("\0")
    assert "--no-cache" in asked, "a test of the network or of the time would not run again"
    assert "platform=linux/arm64" in asked
    assert "--output" not in asked


def test_the_test_of_an_unprotected_ref_pulls_from_its_own_repository(tmp_path: Path) -> None:
    image = {"name": "web", "test": "true"}
    isolated = jobs(files(projects=[project(image)], trust="isolated"))["build-web:arm64"]
    done = run(isolated, tmp_path, BUILDYARD_TIER="unprotected")
    assert f"FROM {WEB}/review@sha256:built\n" in (done.record / "test.Dockerfile").read_text()


@pytest.mark.parametrize(("exit_code", "status"), [(1, 1), (137, Fault.MEMORY)])
def test_a_failing_test_fails_the_job(tmp_path: Path, exit_code: int, status: int) -> None:
    for shell in SHELLS:
        done = run(job(test="false"), tmp_path, shell=shell, STUB_TEST_FAIL=str(exit_code))
        assert done.status == status, "the image would be tagged, or a lost node not be retried"
        assert 'The test of web for arm64 failed: ["/bin/sh", "-c", "false"].' in done.output


def test_an_image_without_a_test_is_built_once(tmp_path: Path) -> None:
    assert not (run(job(), tmp_path).record / "test").exists()


def image(*layers: int) -> dict[str, Any]:
    """A manifest with layers of these sizes, and a configuration of 1,000 bytes."""
    return {"config": {"size": 1000}, "layers": [{"size": size} for size in layers]}


def measured(tmp_path: Path, latest: dict[str, Any] | None, tier: str = "protected") -> Done:
    """Run a build of 12 MB beside a published image."""
    index = {
        "manifests": [
            {"digest": f"sha256:{a}", "platform": {"os": "linux", "architecture": a}} for a in ("amd64", "arm64")
        ]
    }
    manifests = {"sha256:built": image(11_000_000, 999_000), "sha256:amd64": image(1), "sha256:index": index}
    tags = {}
    if latest:
        manifests["sha256:arm64"] = latest
        tags = {"latest": "sha256:index"}
    (tmp_path / "record").mkdir()
    registry = {"manifests": manifests, "tags": tags, "calls": []}
    (tmp_path / "record" / "registry.json").write_text(json.dumps(registry))
    return run(job(), tmp_path, BUILDYARD_TIER=tier)


BUILT = """#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#4 [base 1/3] FROM docker.io/library/alpine:3.22@sha256:abc
#4 CACHED
#5 [base 2/3] RUN apk add --no-cache git
#5 CACHED
#6 [base 3/3] COPY go.mod .
#6 DONE 0.1s
#7 [stage-1 2/2] COPY --from=base /go.mod /
#7 0.10 #5 CACHED
#7 DONE 0.2s
#8 exporting to image
#8 CACHED
"""


def test_the_job_ends_with_the_images_size_and_what_it_grew_by(tmp_path: Path) -> None:
    done = measured(tmp_path, image(9_999_000))
    assert "web for arm64 has 12.0 MB, compressed: +2.0 MB (+20.0%) against latest." in done.output
    assert 'image_size_bytes{image="web",architecture="arm64"} 12000000' in report(done)


def report(done: Done) -> list[str]:
    return (done.project / "metrics.txt").read_text().splitlines()


def test_the_job_says_how_many_steps_came_from_the_cache(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(BUILT)
    done = run(job(), tmp_path, STUB_LOG=str(tmp_path / "log"))
    assert "web for arm64: 1 of 3 build steps came from the cache." in done.output, (
        "base images are no steps, and what a step prints is not BuildKit's word"
    )
    assert report(done) == [
        "# TYPE image_build_steps gauge",
        'image_build_steps{image="web",architecture="arm64"} 3',
        "# TYPE image_build_cached_steps gauge",
        'image_build_cached_steps{image="web",architecture="arm64"} 1',
        "# EOF",
    ]


class Gateway(BaseHTTPRequestHandler):
    """A likeness of the Pushgateway: it keeps what was put, by path."""

    pushed: ClassVar[dict[str, str]] = {}

    def do_PUT(self) -> None:
        self.pushed[self.path] = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def pushing(url: str) -> dict[str, Any]:
    """The build job of a stack with a Pushgateway."""
    return jobs(files(projects=[project({"name": "web"})], monitoring={"pushgateway": url}))["build-web:arm64"]


def test_the_metrics_are_pushed_for_each_image_and_architecture(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(BUILT)
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as gateway:
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        port = gateway.server_port
        done = run(pushing(f"http://127.0.0.1:{port}/"), tmp_path, STUB_LOG=str(tmp_path / "log"))
        gateway.shutdown()
    assert done.status == 0, done.output
    [(path, body)] = Gateway.pushed.items()
    names, values = path.split("/")[4::2], [base64.urlsafe_b64decode(each).decode() for each in path.split("/")[5::2]]
    assert path.startswith("/metrics/job/buildyard/project@base64/")
    assert dict(zip(names, values, strict=True)) == {
        "project@base64": "platform/images",
        "image@base64": "web",
        "architecture@base64": "arm64",
    }, "two images would overwrite each other's values"
    assert "image_build_steps 3\n" in body
    assert body.endswith("\n"), "the Pushgateway refuses a text without a newline at its end"


def test_a_pushgateway_that_is_down_fails_no_build(tmp_path: Path) -> None:
    done = run(pushing("http://127.0.0.1:1"), tmp_path)
    assert done.status == 0
    assert "Could not push metrics to http://127.0.0.1:1: " in done.output


def test_an_image_that_shrank_says_so(tmp_path: Path) -> None:
    assert "-4.0 MB (-25.0%) against latest" in measured(tmp_path, image(15_999_000)).output


def test_a_first_image_has_nothing_to_compare_with(tmp_path: Path) -> None:
    assert "12.0 MB, compressed: no latest to compare with." in measured(tmp_path, None).output


def test_a_registry_that_does_not_answer_fails_no_build(tmp_path: Path) -> None:
    done = run(job(), tmp_path)
    assert done.status == 0
    assert f"Could not read the size of {WEB}@sha256:built: Error: connection refused" in done.output
    assert not any("image_size_bytes" in line for line in report(done))


def test_gitlab_gets_the_reports() -> None:
    assert job()["artifacts"]["reports"] == {"metrics": "metrics.txt"}
    assert job(lint=True)["artifacts"] == {
        "paths": [".buildyard/*.json"],
        "reports": {"metrics": "metrics.txt", "codequality": "gl-code-quality-report.json"},
        "expire_in": "1 week",
    }


HADOLINT = """#!/bin/sh
# A stub for hadolint: it has a finding, and fails unless it is told not to.
case " $* " in *" --no-fail "*) ;; *) exit 1 ;; esac
case " $* " in
  *gitlab_codeclimate*) echo '[{"check_name": "DL3006"}]' ;;
  *) echo "$3:1 DL3006 warning: Always tag the version of an image explicitly" ;;
esac
"""


def test_findings_are_in_the_log_and_in_the_report_and_fail_nothing(tmp_path: Path) -> None:
    stub = tmp_path / "bin" / "hadolint"
    stub.parent.mkdir()
    stub.write_text(HADOLINT)
    stub.chmod(0o755)
    lint = job(lint=True, dockerfile="../docker/web file")
    done = run({**lint, "before_script": [f"PATH={stub.parent}:$PATH", *lint["before_script"]]}, tmp_path)
    assert done.status == 0, done.output
    assert "images/docker/web file:1 DL3006 warning" in done.output
    assert json.loads((done.project / "gl-code-quality-report.json").read_text()) == [{"check_name": "DL3006"}]
    assert "gl-code-quality-report.json" not in (done.record / "files").read_text(), (
        "a context that contains it would miss its cache"
    )


def test_a_builder_image_without_hadolint_says_so_and_builds(tmp_path: Path) -> None:
    done = run(job(lint=True), tmp_path)
    assert done.status == 0
    assert "The builder image has no hadolint" in done.output
