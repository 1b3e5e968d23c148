"""The program through both engines, the pulumi CLI and the embedded one, each on its own sandbox: no difference."""

import copy
import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import pulumi_cli
from sandbox.engines import ENGINE_VARIABLE, EngineName
from sandbox.scratch import ScratchProject, scratch_project

pytestmark = [
    pytest.mark.skipif(
        not pulumi_cli.installed(), reason="needs `pulumi` and `pulumi-language-python` on PATH to compare with"
    ),
    pytest.mark.timeout(1200),
]

Config = dict[str, Any]

ROOT = Path(__file__).parents[2]


# The embedded engine leaves out stack traces: `sandbox/README.md` says why.
ACCIDENTAL_KEYS = frozenset(
    {"stackTrace", "created", "modified", "duration", "ciphertext", "resourceVersion", "runnerIds"}
    | {"buildyard.dev/runner"}
)
ACCIDENTAL_TEXTS = (
    r"127\.0\.0\.1:\d+",
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    r"\b\d{4}-\d\d-\d\dT[\d:.]+Z\b",
    r"(?<=-)[0-9a-f]{7}\b",  # automatic names
    r"\b(lt|a|subnet)-[0-9a-z]{17}\b",  # AWS's ids
    r"\bA[0-9A-Z]{20}\b",  # IAM's
    r"\bLS0tLS1CRUdJTi[\w+/=]+",  # certificates
    r"\b[0-9a-f]{40}\b",  # Git's
)


@dataclass(frozen=True)
class Seen:
    """What one engine did: by the preview before it, the exit code, and the state and outputs after it."""

    preview: Any
    exit_code: int
    state: Any
    outputs: Any


def add_image(config: Config) -> None:
    config["buildyard:projects"][0]["images"].append({"name": "docs", "context": "images/docs"})


def enlarge_disk(config: Config) -> None:
    config["buildyard:nodes"]["arm64"]["disk"] = "300Gi"


def move_nodes(config: Config) -> None:
    config["buildyard:nodes"]["arm64"]["instance-types"] = ["m7g.8xlarge"]


def drop_architecture(config: Config) -> None:
    del config["buildyard:nodes"]["amd64"]


def misspell(config: Config) -> None:
    config["buildyard:runners"]["concurent"] = 3


def spell(config: Config) -> None:
    del config["buildyard:runners"]["concurent"]


EDITS: dict[str, Callable[[Config], object]] = {
    "a first deployment": lambda config: config,
    "nothing changed": lambda config: config,
    "another image": add_image,
    "a bigger disk": enlarge_disk,
    "other instances": move_nodes,
    "an architecture dropped": drop_architecture,
    "wrong settings": misspell,
    "right again": spell,
}


@pytest.fixture
def embedded() -> Iterator[ScratchProject]:
    with scratch_project(EngineName.EMBEDDED) as project:
        yield project


@pytest.fixture
def pulumi() -> Iterator[ScratchProject]:
    with scratch_project(EngineName.PULUMI) as project:
        yield project


def test_both_engines_do_the_same_through_a_stacks_life(embedded: ScratchProject, pulumi: ScratchProject) -> None:
    with ThreadPoolExecutor(2) as pool:
        for name, edit in EDITS.items():
            config = copy.deepcopy(embedded.read_config())
            edit(config)
            for project in (embedded, pulumi):
                project.write_config(config)
            ours, theirs = pool.map(_deploy, (embedded, pulumi))
            assert ours.preview == theirs.preview, f"{name}: the previews differ"
            assert ours.exit_code == theirs.exit_code == (1 if edit is misspell else 0), name
            assert ours.state == theirs.state, f"{name}: the states differ"
            assert ours.outputs == theirs.outputs, f"{name}: the outputs differ"
        for done in pool.map(lambda project: project.sandbox("destroy"), (embedded, pulumi)):
            assert done.returncode == 0, done.stdout + done.stderr
        assert _state(embedded) == _state(pulumi) == {}
    text = pulumi.stack_file.read_text()
    assert "encryptionsalt" not in text, "the CLI must not write to the file that people edit"


def test_a_stack_changes_engines_and_back_without_a_change(pulumi: ScratchProject) -> None:
    embedded = replace(pulumi, engine=EngineName.EMBEDDED)
    first = embedded.sandbox("up")
    assert first.returncode == 0, first.stdout + first.stderr
    outputs = embedded.sandbox("outputs", "--json").stdout
    for project in (pulumi, embedded, pulumi, embedded):
        done = project.sandbox("preview", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert set(json.loads(done.stdout)["changeSummary"]) == {"same"}, f"{project.engine} finds something to do"
        assert "moves from" in done.stderr, "people are told where the state is"
        assert project.sandbox("outputs", "--json").stdout == outputs
    done = pulumi.sandbox("up")
    assert "+" not in done.stdout.partition("Resources:")[2], done.stdout
    done = embedded.sandbox("up")
    assert "nothing to deploy" in done.stdout, "what the CLI has written reads as our own"


def test_without_the_cli_its_state_is_not_taken_for_an_empty_one(pulumi: ScratchProject) -> None:
    assert pulumi.sandbox("up").returncode == 0
    without = {**pulumi.environment, "PATH": "/usr/bin:/bin", ENGINE_VARIABLE: ""}
    for command in ("up", "destroy", "outputs"):
        done = subprocess.run(pulumi.command(command), cwd=pulumi.root, env=without, capture_output=True, text=True)
        assert done.returncode == 1, f"{command} would begin anew, beside what exists"
        assert "`pulumi` on PATH" in done.stderr


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_cli_that_was_stopped_blocks_nobody(pulumi: ScratchProject, end: signal.Signals) -> None:
    process = subprocess.Popen(
        pulumi.command("up"),
        cwd=pulumi.root,
        env=pulumi.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if "create" in line:  # the preview's, so that nothing was made that the state might miss
            os.killpg(process.pid, end)  # as a terminal does: to all of the group
            break
    said += process.stdout.read()
    assert process.wait(60) == (130 if end is signal.SIGINT else -end), said
    again = pulumi.sandbox("up")
    assert again.returncode == 0, again.stdout + again.stderr


def test_the_delivery_pipelines_own_commands_do_what_was_planned_and_nothing_else(pulumi: ScratchProject) -> None:
    plan = _command_of(".preview", "preview")
    deliver = _command_of(".up", "up")
    for edit in (lambda config: config, add_image):
        config = pulumi.read_config()
        edit(config)
        pulumi.write_config(config)
        planned = pulumi.sandbox("pulumi", *plan)
        assert planned.returncode == 0, planned.stdout + planned.stderr
        assert json.loads(planned.stdout)["changeSummary"].get("create"), "the report is made of this"
        done = pulumi.sandbox("pulumi", *deliver)
        assert done.returncode == 0, done.stdout + done.stderr
    outputs = json.loads(pulumi.sandbox("pulumi", *_command_of(".up", "stack output")).stdout)
    assert any(name.endswith("/docs") for name in outputs["repository-urls"])

    assert pulumi.sandbox("pulumi", *plan).returncode == 0
    config = pulumi.read_config()
    enlarge_disk(config)
    pulumi.write_config(config)
    before = _state(pulumi)
    refused = pulumi.sandbox("pulumi", *deliver)
    assert refused.returncode == 1, "what nobody has read was deployed"
    assert "violates plan" in refused.stdout + refused.stderr
    assert _state(pulumi).keys() == before.keys()


def _command_of(job: str, beginning: str) -> list[str]:
    """The arguments of a `pulumi` command in this repository's own pipeline, for the sandbox's stack."""
    script = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())[job]["script"]
    [line] = [line for line in script if line.startswith(f"pulumi {beginning}")]
    command = re.split(r" >| \|\|", line)[0].replace('"$STACK"', "sandbox")
    return shlex.split(command)[1:]


def _deploy(project: ScratchProject) -> Seen:
    planned = project.sandbox("preview", "--json")
    done = project.sandbox("up")
    outputs = project.sandbox("outputs", "--json")
    assert outputs.returncode == 0, done.stdout + done.stderr + outputs.stderr
    return Seen(
        _previewed(json.loads(planned.stdout)),
        done.returncode,
        _state(project),
        _comparable(json.loads(outputs.stdout)),
    )


def _previewed(digest: Any) -> Any:
    digest["steps"].sort(key=lambda step: (step["urn"], step["op"]))
    # The CLI adds to a program's own message that the program has ended.
    said = [each for each in digest.get("diagnostics", []) if "program exited with non-zero" not in each["message"]]
    return _comparable({**digest, "diagnostics": said})


def _state(project: ScratchProject) -> Any:
    """The resources in the state, by URN."""
    if project.engine is EngineName.PULUMI:
        project.sandbox("outputs")  # exports the CLI's state
        path = project.data / "pulumi" / "exported.json"
    else:
        path = project.data / "state" / "buildyard" / "sandbox.json"
    resources = json.loads(path.read_text())["deployment"].get("resources") or []
    return {resource["urn"]: _comparable(resource) for resource in resources}


def _comparable(value: Any) -> Any:
    """Without what differs from one sandbox to another: times, generated names and ids, addresses, ciphertexts."""
    if isinstance(value, dict):
        compared = {key: _comparable(item) for key, item in value.items() if not _is_accidental(key, item)}
        # After a refresh, the CLI's previews drop what is empty.
        if dependencies := {key: urns for key, urns in compared.pop("propertyDependencies", {}).items() if urns}:
            compared["propertyDependencies"] = dependencies
        return compared
    if isinstance(value, list):
        items = [_comparable(item) for item in value]
        return sorted(items) if all(isinstance(item, str) and item.startswith("urn:") for item in items) else items
    if isinstance(value, str):
        for pattern in ACCIDENTAL_TEXTS:
            value = re.sub(pattern, "(some)", value)
    return value


def _is_accidental(key: str, value: Any) -> bool:
    # GitLab numbers runners in the order in which they are made, and those of one stack are made at the same time.
    return key in ACCIDENTAL_KEYS or (key == "id" and str(value).isdigit())
