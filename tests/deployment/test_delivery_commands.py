"""The commands of this repository's own pipeline, as its jobs run them."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.scratch import ScratchProject
from tests.deployment.test_life import add_image, enlarge_disk

ROOT = Path(__file__).parents[2]


def test_the_delivery_pipelines_own_commands_do_what_was_planned_and_nothing_else(scratch: ScratchProject) -> None:
    plan = _command_of(".preview", "preview")
    deliver = _command_of(".up", "up")
    for edit in (lambda config: config, add_image):
        config = scratch.read_config()
        edit(config)
        scratch.write_config(config)
        planned = scratch.sandbox("pulumi", *plan)
        assert planned.returncode == 0, planned.stdout + planned.stderr
        assert json.loads(planned.stdout)["changeSummary"].get("create"), "the report is made of this"
        done = scratch.sandbox("pulumi", *deliver)
        assert done.returncode == 0, done.stdout + done.stderr
    outputs = json.loads(scratch.sandbox("pulumi", *_command_of(".up", "stack output")).stdout)
    assert any(name.endswith("/docs") for name in outputs["repository-urls"])

    assert scratch.sandbox("pulumi", *plan).returncode == 0
    config = scratch.read_config()
    enlarge_disk(config)
    scratch.write_config(config)
    before = _resources(scratch)
    refused = scratch.sandbox("pulumi", *deliver)
    assert refused.returncode == 1, "what nobody has read was deployed"
    assert "violates plan" in refused.stdout + refused.stderr
    assert _resources(scratch).keys() == before.keys()


def _command_of(job: str, beginning: str) -> list[str]:
    """The arguments of a `pulumi` command in this repository's own pipeline, for the sandbox's stack."""
    script = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())[job]["script"]
    [line] = [line for line in script if line.startswith(f"pulumi {beginning}")]
    command = re.split(r" >| \|\|", line)[0].replace('"$STACK"', "sandbox")
    return shlex.split(command)[1:]


def _resources(project: ScratchProject) -> Mapping[str, Any]:
    """The resources in the state, by URN."""
    state = json.loads(project.sandbox("pulumi", "stack", "export").stdout)
    return {resource["urn"]: resource for resource in state["deployment"]["resources"]}
