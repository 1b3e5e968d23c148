"""The background process: it starts once, survives being killed, and says why it does not start."""

import json
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from sandbox import server
from sandbox.endpoints import Endpoints, read_endpoints, write_endpoints
from tests.sandbox.conftest import aws_clients


@pytest.fixture
def directory(tmp_path: Path) -> Any:
    yield tmp_path
    server.stop(tmp_path)


def kill(endpoints: Endpoints, directory: Path) -> None:
    os.kill(endpoints.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while server.running(directory) and time.monotonic() < deadline:
        time.sleep(0.02)


def everything(endpoints: Endpoints) -> dict[str, Any]:
    """All that AWS would show of what these tests make, without the parts that name a single answer."""
    clients = aws_clients(endpoints)
    answers = {
        "clusters": clients("eks").describe_cluster(name="ci"),
        "roles": clients("iam").list_roles(),
        "providers": clients("iam").list_open_id_connect_providers(),
        "repositories": clients("ecr").describe_repositories(),
        "subnets": clients("ec2").describe_subnets(),
        "security groups": clients("ec2").describe_security_groups(),
        "templates": clients("ec2").describe_launch_templates(),
        "node groups": [
            clients("eks").describe_nodegroup(clusterName="ci", nodegroupName=name)["nodegroup"]
            for name in clients("eks").list_nodegroups(clusterName="ci")["nodegroups"]
        ],
        "scaling groups": clients("autoscaling").describe_auto_scaling_groups(),
    }
    for answer in answers.values():
        if isinstance(answer, dict):
            answer.pop("ResponseMetadata")
    return answers


def make_things(endpoints: Endpoints) -> None:
    clients = aws_clients(endpoints)
    cluster = clients("eks").describe_cluster(name="ci")["cluster"]
    clients("ecr").create_repository(repositoryName="kept", encryptionConfiguration={"encryptionType": "KMS"})
    clients("ecr").create_repository(repositoryName="gone")
    clients("ecr").delete_repository(repositoryName="gone")
    template = clients("ec2").create_launch_template(
        LaunchTemplateName="kept", LaunchTemplateData={"EbsOptimized": True}
    )
    clients("eks").create_nodegroup(
        clusterName="ci",
        nodegroupName="kept",
        subnets=cluster["resourcesVpcConfig"]["subnetIds"],
        nodeRole=cluster["roleArn"],
        scalingConfig={"minSize": 0, "maxSize": 3, "desiredSize": 0},
        launchTemplate={"id": template["LaunchTemplate"]["LaunchTemplateId"]},
    )


def test_a_killed_process_comes_back_with_every_object_as_it_was(directory: Path) -> None:
    endpoints = server.start(directory)
    make_things(endpoints)
    before = everything(endpoints)
    kill(endpoints, directory)
    assert server.status(directory).endpoints is None
    with (directory / "aws" / "journal.jsonl").open("a") as journal:
        journal.write('{"method": "POST", "pa')  # the line that it was writing as it died
    again = server.start(directory)
    assert again.pid != endpoints.pid
    assert everything(again) == before
    assert (again.aws, again.kubernetes, again.gitlab) == (endpoints.aws, endpoints.kubernetes, endpoints.gitlab)
    assert again.providers == endpoints.providers, "a stack's state holds URLs that lead nowhere now"


def test_every_part_answers_once_it_has_started(endpoints: Endpoints) -> None:
    assert set(endpoints.providers) == {"aws", "gitlab", "kubernetes"}
    directory = server_directory(endpoints)
    answering = server.status(directory).answering
    assert all(answering.values()), answering
    assert len(answering) == 6


def server_directory(endpoints: Endpoints) -> Path:
    """The data directory of the shared sandbox: the last argument of its process."""
    return Path(Path(f"/proc/{endpoints.pid}/cmdline").read_bytes().split(b"\0")[-2].decode())


def test_two_starts_at_once_make_one_process(directory: Path) -> None:
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(server.start, [directory, directory])
    assert first == second


def test_a_directory_that_another_command_is_just_taking_is_no_stranger(tmp_path: Path) -> None:
    both = Barrier(2)

    def delete(directory: Path) -> None:
        both.wait()
        server.delete(directory)

    with ThreadPoolExecutor() as pool:
        for number in range(50):  # a race: each is a chance of two in five to meet the moment
            directory = tmp_path / str(number)
            directory.mkdir()
            list(pool.map(delete, [directory, directory]))


def test_a_port_that_somebody_else_has_taken_is_replaced(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (directory / "start.lock").touch()  # as in a directory that the sandbox has used
        (directory / "ports.json").write_text(json.dumps({"aws": port, "gitlab provider": port}))
        endpoints = server.start(directory)
        assert endpoints.aws != f"http://127.0.0.1:{port}"
        assert endpoints.providers["gitlab"] != port
        assert all(server.status(directory).answering.values())


def test_a_failed_start_shows_the_end_of_the_log(directory: Path) -> None:
    (directory / "start.lock").touch()
    (directory / "aws").mkdir()
    (directory / "aws" / "seeded").touch()
    (directory / "aws" / "journal.jsonl").write_text("nonsense\n{}\n")
    with pytest.raises(server.ServerError, match=r"(?s)ended with status 1.*journal\.jsonl, line 1, is damaged"):
        server.start(directory)
    assert server.status(directory).endpoints is None


def test_a_start_that_takes_too_long_is_given_up(directory: Path) -> None:
    with pytest.raises(server.ServerError, match=r"(?s)within 0 seconds.*The end of .*server\.log"):
        server.start(directory, timeout=0.1)


def test_a_half_made_seed_is_made_again(directory: Path) -> None:
    (directory / "start.lock").touch()
    (directory / "aws").mkdir()
    (directory / "aws" / "journal.jsonl").write_text("left over from a start that was killed\n")
    assert aws_clients(server.start(directory))("eks").list_clusters()["clusters"] == ["ci"]


def test_what_a_dead_process_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "endpoints.json").write_text(
        json.dumps({"pid": os.getpid(), "aws": "", "gitlab": "", "kubernetes": "", "providers": {}, "gitlab_token": ""})
    )
    assert server.running(tmp_path) is None, "another process with the same id passed for the sandbox"
    assert server.stop(tmp_path) is False
    assert read_endpoints(tmp_path) is None


def test_clients_are_led_to_the_sandbox() -> None:
    endpoints = Endpoints(
        pid=1,
        aws="http://127.0.0.1:1",
        gitlab="http://127.0.0.1:2",
        kubernetes="http://127.0.0.1:3",
        proxy="http://127.0.0.1:6",
        providers={"aws": 4, "gitlab": 5},
        gitlab_token="glpat-test",
    )
    environment = endpoints.environment()
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["GITLAB_BASE_URL"] == "http://127.0.0.1:2/api/v4/"
    assert environment["PULUMI_DEBUG_PROVIDERS"] == "aws:4,gitlab:5"
    assert environment["HTTPS_PROXY"] == environment["https_proxy"] == "http://127.0.0.1:6"
    assert environment["NO_PROXY"] == "127.0.0.1,localhost", "a company's proxy cannot reach the sandbox"
    assert "glpat-test" not in repr(endpoints), "the token would be in every log that shows the endpoints"


def test_a_process_of_older_code_is_replaced(directory: Path) -> None:
    before = server.start(directory)
    assert server.start(directory) == before
    write_endpoints(directory, replace(before, code="what was there before a git pull"))
    after = server.start(directory)
    assert after.pid != before.pid, "people would see yesterday's emulation after an update"
    assert after.aws == before.aws
