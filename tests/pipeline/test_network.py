"""A job in a company's network: it trusts the company's authorities, and BuildKit gives its proxy to RUN steps."""

from pathlib import Path

import pytest

from pipeline import scripts
from stacks.names import CA_VARIABLE, PROXY_VARIABLE
from tests.pipeline.published import files, jobs
from tests.pipeline.runner import SHELLS, Done, run
from tests.stacks.stack_settings import project

JOBS = jobs(files())
IMAGES = [project({"name": "web", "build-args": {"HTTP_PROXY": "http://its-own"}, "test": "true"})]
TRUSTING = ("SSL_CERT_FILE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
URL = "http://proxy.example.com:3128"
DIRECT = "localhost,[fd00:ec2::23],10.0.0.0/8"
PROXY = {PROXY_VARIABLE: "true", "HTTPS_PROXY": URL, "HTTP_PROXY": URL, "NO_PROXY": DIRECT}


@pytest.mark.parametrize("job", ["build-base:arm64", "build-base:manifest"])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_job_trusts_the_companys_authorities_besides_the_public_ones(
    tmp_path: Path, shell: list[str], job: str
) -> None:
    (tmp_path / "public.pem").write_text("public")
    (tmp_path / "company.pem").write_text("company\n")
    definition = {**JOBS[job], "script": ['cat "$SSL_CERT_FILE"', *(f'echo "{each}=${each}"' for each in TRUSTING)]}
    done = run(
        definition,
        tmp_path,
        shell=shell,
        SSL_CERT_FILE=str(tmp_path / "public.pem"),
        **{CA_VARIABLE: str(tmp_path / "company.pem")},
    )
    assert done.status == 0, done.output
    assert "public\ncompany\n" in done.output
    named = {line.partition("=")[2] for line in done.output.splitlines() if line.startswith(TRUSTING)}
    assert len(named) == 1, "one program would trust others than the rest"


def test_a_job_of_a_stack_without_authorities_keeps_its_own(tmp_path: Path) -> None:
    done = run(JOBS["build-base:arm64"], tmp_path)
    assert not {*TRUSTING} & done.environment.keys()


def test_a_bundle_that_is_not_there_ends_the_job(tmp_path: Path) -> None:
    done = run(JOBS["build-base:arm64"], tmp_path, shell=None, **{CA_VARIABLE: "/not/here.pem"})
    assert done.status != 0
    assert "BUILDYARD_CA_BUNDLE names /not/here.pem, which is not there." in done.output


def arguments(done: Done) -> dict[str, str]:
    values = (each for each in done.options("--opt") if each.startswith("build-arg:"))
    return dict(each.removeprefix("build-arg:").split("=", 1) for each in values)


@pytest.mark.parametrize("shell", SHELLS)
def test_run_steps_get_the_stacks_proxy(tmp_path: Path, shell: list[str]) -> None:
    done = run(JOBS["build-base:arm64"], tmp_path, shell=shell, **PROXY)
    given = arguments(done)
    assert given["HTTPS_PROXY"] == given["HTTP_PROXY"] == URL
    assert given["NO_PROXY"].endswith(DIRECT)
    assert "169.254.170.23" in given["NO_PROXY"]


def test_an_images_own_argument_wins(tmp_path: Path) -> None:
    own = jobs(files(projects=IMAGES))
    assert arguments(run(own["build-web:arm64"], tmp_path, shell=None, **PROXY))["HTTP_PROXY"] == "http://its-own"


def test_the_test_of_an_image_gets_the_proxy_too(tmp_path: Path) -> None:
    done = run(jobs(files(projects=IMAGES))["build-web:arm64"], tmp_path, shell=None, **PROXY)
    assert f"build-arg:HTTPS_PROXY={URL}" in (done.record / "test").read_text().split("\0")


def test_run_steps_do_not_get_a_proxy_of_the_projects_variables(tmp_path: Path) -> None:
    done = run(JOBS["build-base:arm64"], tmp_path, HTTPS_PROXY=URL)
    assert not arguments(done)
    done = run(
        JOBS["build-base:arm64"], tmp_path, shell=None, **{**PROXY, "HTTPS_PROXY": "http://u:hunter2@proxy.example.com"}
    )
    assert arguments(done).keys() == {"HTTP_PROXY", "NO_PROXY"}
    assert "hunter2" not in done.output + "".join(done.buildctl)


def test_the_scripts_read_the_variables_that_the_runner_sets() -> None:
    assert f"${{{CA_VARIABLE}-}}" in scripts.shell("network.sh")
    assert f"${{{PROXY_VARIABLE}-}}" in scripts.shell("build.sh")
