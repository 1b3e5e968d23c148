"""Tests of the causes of replacements, in words."""

import pytest

from delivery.causes import Causes
from delivery.note import note
from delivery.resource_types import NAMESPACE, NODE_GROUP, REPOSITORY, RUNNER
from tests.delivery.previews import Step, preview, step, urn_of

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
REPLACES = "update-replace"


def because(kind: str, *steps: Step) -> str:
    """The cause of the replacement of the resource of this type."""
    changes = preview(*steps).changes
    [change] = [each for each in changes if each.type == kind]
    return Causes(changes).because(change)


def group(path: str) -> Step:
    return step("replace", NODE_GROUP, "arm64", details={path: REPLACES}, dependencies=[urn_of(TEMPLATE, "arm64")])


def runner(*used: str) -> Step:
    replaced = {"maintenanceNote": REPLACES}
    return step("replace", RUNNER, "arm64", {"a": 1}, {"a": 1}, details=replaced, dependencies=used)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("instanceTypes[0]", "the instance types change"),
        ("capacityType", "the capacity type changes"),
        ("subnetIds", "the subnets change"),
        ("version", "the Kubernetes version changes"),
        ("labels", "`labels` cannot change in place"),
    ],
)
def test_a_runner_is_replaced_for_what_replaces_its_nodes(path: str, words: str) -> None:
    assert because(NODE_GROUP, group(path)) == f" because {words}"
    assert because(RUNNER, group(path), runner(urn_of(NODE_GROUP, "arm64"))) == f" because {words}"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("blockDeviceMappings[0].ebs.volumeSize", "the disks of the nodes change"),
        ("userData", "the configuration of the nodes changes"),
        ("tagSpecifications[0].tags.a", "the tags of the instances change"),
        ("latestVersion", "the launch template changes"),
    ],
)
def test_nodes_are_replaced_for_what_changes_in_their_launch_template(path: str, words: str) -> None:
    template = step("update", TEMPLATE, "arm64", details={path: "update"})
    assert because(NODE_GROUP, template, group("launchTemplate.version")) == f" because {words}"
    assert because(NODE_GROUP, group("launchTemplate.version")) == " because the launch template changes"


def test_a_runner_is_replaced_with_its_namespace() -> None:
    namespace = step("replace", NAMESPACE, "builds", details={"metadata.name": REPLACES})
    assert because(RUNNER, namespace, runner()) == " because the namespace changes"


def test_a_note_that_somebody_edited_is_said_to_be_edited() -> None:
    other = step("replace", NODE_GROUP, "amd64", details={"instanceTypes[0]": REPLACES})
    assert because(RUNNER, other, runner()) == " because the runner's maintenance note was edited in GitLab"


def test_the_table_names_the_cause_too() -> None:
    text = note("dev", preview(group("instanceTypes[0]"), runner(urn_of(NODE_GROUP, "arm64"))))
    [row] = [line for line in text.splitlines() if "UserRunner` `arm64`" in line]
    assert row.endswith("the instance types change (forces the replacement) |")
    assert "maintenanceNote" not in text


def test_a_property_without_words_is_named() -> None:
    odd = step("replace", REPOSITORY, "a", {"name": "a"}, {"name": "a"}, details={"odd": REPLACES})
    assert because(REPOSITORY, odd) == " because `odd` cannot change in place"
