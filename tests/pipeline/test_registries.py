"""Logins of jobs, BuildKit's mirrors, and the advice after a registry's refusal. BuildKit itself is a stub."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline import scripts
from tests.pipeline.published import HOST, files, jobs
from tests.pipeline.runner import SHELLS, Done, run

BUILD = "build-base:arm64"
NEXUS = {"nexus.example.com": {"user": "builds", "password": "NEXUS_PASSWORD"}}
GITLAB = {"registry.gitlab.example.com:5050": {"job-token": True}}
TOKEN = {"CI_REGISTRY": "registry.gitlab.example.com:5050", "CI_JOB_TOKEN": "the-jobs-token"}
ECR = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
CACHES = {
    "docker-hub": {
        "credentials": "arn:aws:secretsmanager:ap-east-1:123456789012:secret:ecr-pullthroughcache/hub-AbCdEf"
    },
    "quay": {},
}


def build(
    folder: Path,
    registry: Mapping[str, Any] | None = None,
    variables: Mapping[str, str] | None = None,
    *,
    shell: list[str] | None = None,
) -> Done:
    """Run a build job. It copies its Docker settings to where the test can read them."""
    job = jobs(files(registry=registry or {}))[BUILD]
    keep = f'cp -r "$DOCKER_CONFIG" {folder}/docker'
    return run({**job, "script": [keep, *job["script"]]}, folder, shell=shell, **(variables or {}))


def docker(folder: Path) -> dict[str, Any]:
    """Docker's settings of the job."""
    found: dict[str, Any] = json.loads((folder / "docker" / "config.json").read_text())
    return found


def credentials(folder: Path) -> dict[str, str]:
    """The user and password of each host."""
    return {host: base64.b64decode(each["auth"]).decode() for host, each in docker(folder)["auths"].items()}


def test_ecrs_helper_logs_in_to_every_registry_that_builds_pull_from(tmp_path: Path) -> None:
    assert build(tmp_path, {"pull-from": ["shared/*", f"{ECR}/base", f"{ECR}/golden/*"]}).status == 0
    assert docker(tmp_path) == {"credHelpers": {HOST: "ecr-login", ECR: "ecr-login"}}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_login_is_the_user_and_the_variables_value(tmp_path: Path, shell: list[str]) -> None:
    registry = {"logins": {**NEXUS, "docker.io": {"user": "somebody", "password": "HUB"}}}
    secret = 'it\'s $HOME, "100%" \\n'
    done = build(tmp_path, registry, {"NEXUS_PASSWORD": secret, "HUB": "x"}, shell=shell)
    assert done.status == 0, done.output
    assert credentials(tmp_path) == {
        "nexus.example.com": f"builds:{secret}",
        "https://index.docker.io/v1/": "somebody:x",  # BuildKit and crane look for Docker Hub's login by this key
    }
    assert secret not in done.output
    assert secret not in " ".join(done.buildctl), "every user of the node could read it"
    assert secret not in "".join(file.text for file in files(registry=registry))


def test_a_password_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "project.tmp" / "NEXUS_PASSWORD"
    file.parent.mkdir()
    file.write_text("from a file\n")
    assert build(tmp_path, {"logins": NEXUS}, {"NEXUS_PASSWORD": str(file)}).status == 0
    assert credentials(tmp_path) == {"nexus.example.com": "builds:from a file"}


@pytest.mark.parametrize("value", ["", "file"])
def test_a_login_without_its_password_ends_the_job_before_buildkit(tmp_path: Path, value: str) -> None:
    file = tmp_path / "project.tmp" / "NEXUS_PASSWORD"
    file.parent.mkdir()
    file.write_text("\n")
    done = build(tmp_path, {"logins": NEXUS}, {"NEXUS_PASSWORD": str(file) if value else ""})
    assert done.status == 1
    assert "The CI/CD variable NEXUS_PASSWORD, for the login to nexus.example.com, is empty or not set." in done.output
    assert "GitLab passes a protected variable only to pipelines of protected branches and tags." in done.output
    assert not (done.record / "buildctl").exists(), "BuildKit started, and would fail later with the registry's words"


def test_gitlabs_registry_gets_the_jobs_token(tmp_path: Path) -> None:
    assert build(tmp_path, {"logins": GITLAB}, TOKEN).status == 0
    assert credentials(tmp_path) == {"registry.gitlab.example.com:5050": "gitlab-ci-token:the-jobs-token"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"CI_REGISTRY": ""}, "has no container registry"),
        ({"CI_REGISTRY": "registry.other.example"}, "GitLab's container registry is registry.other.example"),
        ({"CI_JOB_TOKEN": ""}, "The CI/CD variable CI_JOB_TOKEN"),
    ],
)
def test_no_other_host_gets_the_jobs_token(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    done = build(tmp_path, {"logins": GITLAB}, {**TOKEN, **changed})
    assert done.status == 1
    assert said in done.output
    assert "the-jobs-token" not in done.output


def test_docker_auth_config_adds_logins_for_other_hosts_alone(tmp_path: Path) -> None:
    given = {
        "auths": {
            "harbor.example.com": {"auth": "aGFyYm9y"},
            "https://nexus.example.com/v2/": {"auth": "cGxhbnRlZA=="},
            f"{HOST}/platform/images/base": {"auth": "cGxhbnRlZA=="},
            "index.docker.io": {"auth": "cGxhbnRlZA=="},
        },
        "credsStore": "desktop",
        "credHelpers": {HOST: "planted"},
    }
    registry = {"logins": {**NEXUS, "docker.io": {"user": "somebody", "password": "HUB"}}}
    variables = {"DOCKER_AUTH_CONFIG": json.dumps(given), "NEXUS_PASSWORD": "x", "HUB": "y"}
    done = build(tmp_path, registry, variables)
    assert done.status == 0
    assert credentials(tmp_path) == {
        "nexus.example.com": "builds:x",
        "https://index.docker.io/v1/": "somebody:y",
        "harbor.example.com": "harbor",
    }
    assert docker(tmp_path)["credHelpers"] == {HOST: "ecr-login"}, "another helper would log in to our registry"
    assert "credsStore" not in docker(tmp_path)
    assert f"Ignored the login to {HOST} in DOCKER_AUTH_CONFIG: the stack's own comes first." in done.output
    assert "DOCKER_AUTH_CONFIG" not in done.environment


@pytest.mark.parametrize("value", ["{", "[]", "{}", '{"auths": []}', "/builds/project.tmp/DOCKER_AUTH_CONFIG"])
def test_an_unreadable_docker_auth_config_stops_no_build(tmp_path: Path, value: str) -> None:
    done = build(tmp_path, None, {"DOCKER_AUTH_CONFIG": value})
    assert done.status == 0
    assert "Ignored DOCKER_AUTH_CONFIG: it is not a JSON object with the key `auths`." in done.output


def test_the_manifest_job_needs_no_logins(tmp_path: Path) -> None:
    job = jobs(files(registry={"logins": NEXUS}))["build-base:manifest"]
    done = run({**job, "script": [f'cp -r "$DOCKER_CONFIG" {tmp_path}/docker']}, tmp_path)
    assert done.status == 0, done.output
    assert docker(tmp_path) == {"credHelpers": {HOST: "ecr-login"}}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("trust", "tier", "folder"),
    [
        ("isolated", "protected", "dev/cache"),
        ("isolated", "unprotected", "dev/cache/review"),
        ("shared", "", "dev/cache"),
        ("protected-only", "protected", "dev/cache"),
    ],
)
def test_buildkit_pulls_through_the_cache_of_the_jobs_tier(
    tmp_path: Path, shell: list[str], trust: str, tier: str, folder: str
) -> None:
    job = jobs(files(trust=trust, registry={"prefix": "dev", "pull-through": CACHES}))[BUILD]
    keep = f'cp -r "$DOCKER_CONFIG" {tmp_path}/docker'
    done = run({**job, "script": [keep, *job["script"]]}, tmp_path, shell=shell, BUILDYARD_TIER=tier)
    assert done.status == 0, done.output
    flags = done.environment["BUILDKITD_FLAGS"].split()
    assert flags[0] == "--oci-worker-no-process-sandbox"
    assert flags[1].startswith("--config=")
    assert (tmp_path / "docker" / "buildkitd.toml").read_text() == (
        f'[registry."docker.io"]\nmirrors = ["{HOST}/{folder}/hub"]\n'
        f'[registry."quay.io"]\nmirrors = ["{HOST}/{folder}/quay"]\n'
    )


def test_without_caches_buildkit_has_no_mirrors(tmp_path: Path) -> None:
    done = build(tmp_path)
    assert done.environment["BUILDKITD_FLAGS"] == "--oci-worker-no-process-sandbox"


def test_only_a_refusal_adds_advice_to_a_failed_build(tmp_path: Path) -> None:
    done = build(tmp_path, None, {"STUB_FAIL": "1"})
    assert done.status == 1, "GitLab decides by the exit code whether to retry"
    assert "failed to solve" in done.output
    assert "buildyard:registry" not in done.output


FACTS = {
    "pull-from": ["shared/base", "golden/*", f"{ECR}/base"],
    "logins": {"nexus.example.com": {"user": "builds", "password": "NEXUS_PASSWORD"}, "registry.gitlab.com": {}},
    "upstreams": {"docker.io": "docker-hub", "registry.k8s.io": "kubernetes"},
}


def advice(folder: Path, *lines: str) -> list[str]:
    """The advice for BuildKit's output."""
    log = folder / "log"
    log.write_text("".join(f"{line}\n" for line in lines))
    script = scripts.shell("refusals.py")
    done = subprocess.run(
        [sys.executable, "-", HOST, json.dumps(FACTS), str(log)],
        input=script,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


FORBIDDEN = "unexpected status from HEAD request to https://host/v2/x/manifests/1: 403 Forbidden"


@pytest.mark.parametrize(
    ("image", "reason", "expected"),
    [
        (
            f"{HOST}/other/base:1",
            FORBIDDEN,
            "Builds may not pull from other/base. Add it to buildyard:registry.pull-from",
        ),
        (f"{ECR}/other@sha256:1", FORBIDDEN, f"Builds may not pull from {ECR}/other. Add it"),
        (f"{ECR}/base:1", FORBIDDEN, "its repository policy in the account 111122223333 does not let the build's role"),
        (
            "nexus.example.com/base:1",
            "failed to authorize: failed to fetch oauth token: 401 Unauthorized",
            "nexus.example.com refused the user builds of buildyard:registry.logins. Check the CI/CD variable "
            "NEXUS_PASSWORD",
        ),
        ("registry.gitlab.com/a/b:1", "denied: access forbidden", "Add this project to the job token allowlist"),
        ("harbor.example.com:8443/base:1", "no basic auth credentials", "Add harbor.example.com:8443 to buildyard:"),
        (
            "docker.io/library/x:1",
            "429 Too Many Requests: toomanyrequests",
            "buildyard:registry.pull-through.docker-hub",
        ),
        ("docker.io/somebody/x:1", "pull access denied, repository does not exist", "Add docker.io to buildyard:"),
    ],
)
def test_a_refusal_says_which_setting_gives_the_right(tmp_path: Path, image: str, reason: str, expected: str) -> None:
    [said] = advice(tmp_path, f"#3 [internal] load metadata for {image}", f"#3 ERROR: {reason}", "------")
    assert expected in said


@pytest.mark.parametrize(
    "reason",
    [
        "nexus.example.com/base:1: not found",
        "failed to do request: Head: dial tcp: lookup nexus.example.com: no such host",
        "unexpected status from HEAD request: 500 Internal Server Error",
    ],
)
def test_other_failures_get_no_advice(tmp_path: Path, reason: str) -> None:
    assert (
        advice(tmp_path, "#3 [internal] load metadata for nexus.example.com/base:1", f"#3 ERROR: {reason}", "------")
        == []
    )


def test_what_a_dockerfile_prints_is_no_refusal(tmp_path: Path) -> None:
    lines = ["#5 [2/2] RUN make", "#5 0.1 denied: 403", "#5 ERROR: process did not complete: exit code: 1", "------"]
    assert advice(tmp_path, *lines) == []


def test_the_registrys_words_may_follow_and_the_frontend_is_an_image_too(tmp_path: Path) -> None:
    said = advice(
        tmp_path,
        "#2 resolve image config for docker-image://docker.io/docker/dockerfile:1",
        "#2 ERROR: unexpected status from HEAD request to https://registry-1.docker.io: 429 Too Many Requests",
        "toomanyrequests: You have reached your pull rate limit.",
        f"#3 [internal] load metadata for {ECR}/base:1",
        f"#3 ERROR: {FORBIDDEN}",
        "denied: User: arn:aws:sts::1:assumed-role/buildyard-prod-push/eks is not authorized to perform",
        "------",
    )
    assert len(said) == 2
    assert "the role buildyard-prod-push pull" in said[0]
    assert "pull-through.docker-hub" in said[1]


def test_no_setting_reaches_the_shell_unquoted(tmp_path: Path) -> None:
    registry = {"logins": {"nexus.example.com": {"user": "it's $(touch /tmp/x) `id`", "password": "NEXUS_PASSWORD"}}}
    done = build(tmp_path, registry, {"NEXUS_PASSWORD": "x"})
    assert done.status == 0, done.output
    assert credentials(tmp_path) == {"nexus.example.com": "it's $(touch /tmp/x) `id`:x"}
