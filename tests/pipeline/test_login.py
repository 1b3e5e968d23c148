"""Tests of `login.sh`: a job uses its pod's role, and no other credentials that somebody left in its environment."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Thread

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from pipeline import scripts
from sandbox.builds.proxy import QuietHandler
from stacks.credentials import CREDENTIALS
from tests.pipeline.published import HOST, files, jobs
from tests.pipeline.runner import SHELLS, Done, run

AGENT = "http://169.254.170.23/v1/credentials"
AGENT_TOKEN = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"
WEB_TOKEN = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
ROLE = "arn:aws:iam::123456789012:role/prod-push"
POD = {
    "pod-identity": {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": AGENT,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": AGENT_TOKEN,
    },
    "irsa": {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": WEB_TOKEN},
}
"""The variables that EKS sets in a pod.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html,
https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html
"""

PLANTED = [
    *("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"),
    *("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"),
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_STS"),
    *("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"),
]
"""Variables that lead AWS's clients to other credentials, or to another host."""

SET_BY_THE_JOB = {
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_RETRY_MODE": "standard",
    "AWS_MAX_ATTEMPTS": "10",
}


def log_in(
    folder: Path, variables: Mapping[str, str], *, identity: str = "pod-identity", shell: list[str] | None = None
) -> Done:
    """Run a build job in a pod with this identity. The stub of BuildKit records the job's environment."""
    job = jobs(files(identity=identity))["build-base:arm64"]
    return run(job, folder, shell=shell, **variables)


def aws_variables(done: Done) -> dict[str, str]:
    return {name: value for name, value in done.environment.items() if name.startswith("AWS_")}


@pytest.mark.parametrize("identity", POD)
def test_what_the_pod_sets_stays(tmp_path: Path, identity: str) -> None:
    done = log_in(tmp_path, {"AWS_REGION": "ap-east-1", **POD[identity]}, identity=identity)
    assert aws_variables(done) == {**SET_BY_THE_JOB, **POD[identity], "AWS_REGION": "ap-east-1"}
    assert "Ignored" not in done.output, "the log asks people to remove a variable that EKS sets"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("identity", "name"),
    # With IRSA, the pod's token decides which roles STS gives.
    [(identity, name) for identity in POD for name in PLANTED if (identity, name) != ("irsa", "AWS_ROLE_ARN")],
)
def test_a_planted_variable_is_ignored_and_the_log_says_so(
    tmp_path: Path, identity: str, name: str, shell: list[str]
) -> None:
    done = log_in(tmp_path, {**POD[identity], name: "http://planted"}, identity=identity, shell=shell)
    assert done.status == 0, done.output
    assert aws_variables(done) == {**SET_BY_THE_JOB, **POD[identity]}, "the job does not use its pod's role"
    assert f"Ignored {name}: this job uses its pod's role." in done.output
    assert "planted" not in done.output, "the log contains a value that may be secret"


@pytest.mark.parametrize("identity", POD)
def test_the_other_identitys_variables_are_ignored(tmp_path: Path, identity: str) -> None:
    done = log_in(tmp_path, {**POD["pod-identity"], **POD["irsa"]}, identity=identity)
    assert aws_variables(done) == {**SET_BY_THE_JOB, **POD[identity]}


def test_all_at_once_and_a_value_of_several_lines(tmp_path: Path) -> None:
    done = log_in(tmp_path, dict.fromkeys(PLANTED, "x\nAWS_PROFILE=y\nrm -rf *"))
    assert aws_variables(done) == {**SET_BY_THE_JOB, **POD["pod-identity"]}


def test_the_agent_of_an_ipv6_cluster_stays(tmp_path: Path) -> None:
    ipv6 = {**POD["pod-identity"], "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://[fd00:ec2::23]/v1/credentials"}
    assert aws_variables(log_in(tmp_path, ipv6)) == {**SET_BY_THE_JOB, **ipv6}


def test_images_registry_credentials_of_the_runner_do_not_reach_the_job(tmp_path: Path) -> None:
    done = log_in(tmp_path, {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {HOST: {"auth": "cGxhbnRlZDp4"}}})})
    assert "DOCKER_AUTH_CONFIG" not in done.environment, "BuildKit would prefer it to ECR's credential helper"


@pytest.mark.parametrize("given", [{}, {"no_proxy": "a.example"}, {"NO_PROXY": "a.example"}])
def test_the_agent_is_asked_without_a_proxy(tmp_path: Path, given: dict[str, str]) -> None:
    environment = log_in(tmp_path, {"HTTP_PROXY": "http://proxy.example:3128", **given}).environment
    assert environment["HTTP_PROXY"] == "http://proxy.example:3128", "builds behind a proxy reach nothing"
    for name in ("NO_PROXY", "no_proxy"):
        excepted = environment[name].split(",")
        assert {"169.254.170.23", "fd00:ec2::23", *given.values()} <= set(excepted)


def test_settings_refuse_secrets_of_every_name_that_jobs_unset() -> None:
    script = scripts.shell("login.sh")
    patterns = set(re.findall(r"\*:(AWS_[A-Z0-9_]*\*?)", script)) | set(
        re.findall(r"unset ([A-Z_]{2,})$", script, re.M)
    )
    assert patterns == set(CREDENTIALS), "a build would silently get an empty secret"
    for name in PLANTED:
        assert any(fnmatchcase(name, pattern) for pattern in CREDENTIALS)


@pytest.fixture
def agent() -> Iterator[str]:
    """The URL of a Pod Identity agent on loopback, which gives the access key POD."""

    @Request.application
    def answer(request: Request) -> Response:
        keys = {"AccessKeyId": "POD", "SecretAccessKey": "x", "Token": "x", "Expiration": "2999-01-01T00:00:00Z"}
        return Response(json.dumps(keys), mimetype="application/json")

    server = make_server("127.0.0.1", 0, answer, request_handler=QuietHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}/v1/credentials"
    server.shutdown()
    server.server_close()


WHO = f"""{sys.executable} -c '
import botocore.session
found = botocore.session.get_session().get_credentials()
print("found", found and found.method, found and getattr(found, "_access_key", None))'"""


@pytest.mark.parametrize(
    ("planted", "files_in_home"),
    [
        ({}, {}),
        ({"AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": "x"}, {}),
        ({}, {"credentials": "[default]\naws_access_key_id = FILE\naws_secret_access_key = x\n"}),
        ({}, {"config": "[default]\ncredential_process = echo planted\n"}),
        ({"AWS_PROFILE": "other"}, {"credentials": "[other]\naws_access_key_id = FILE\naws_secret_access_key = x\n"}),
    ],
)
def test_awss_own_client_finds_the_pods_role_alone(
    tmp_path: Path, agent: str, planted: dict[str, str], files_in_home: dict[str, str]
) -> None:
    for name, content in files_in_home.items():
        file = tmp_path / "home" / ".aws" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    for identity, pod, expected in (
        ("pod-identity", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent}, "found container-role POD"),
        ("irsa", POD["irsa"], "found assume-role-with-web-identity"),
        ("pod-identity", {}, "found None None"),
    ):
        job = {**jobs(files(identity=identity))["build-base:arm64"], "script": [WHO]}
        done = run(job, tmp_path, shell=None, **{"HOME": str(tmp_path / "home"), **pod, **planted})
        assert expected in done.output, f"{identity}: {done.output}"
