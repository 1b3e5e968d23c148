"""The schema for editors, and the stacks in this repository."""

import platform

import jsonschema
import pytest
import yaml

from stacks import config, schema
from stacks.architecture import Architecture
from stacks.cluster import DEFAULT_NODES
from stacks.names import default_namespace
from stacks.runners import Runners
from stacks.settings import Settings

STACKS = sorted(path.name.split(".")[1] for path in config.DIRECTORY.glob("Pulumi.*.yaml"))


def test_the_committed_schema_is_the_settings_schema() -> None:
    assert schema.FILE.read_text() == schema.text(), "run `python -m stacks.schema` after a change of the settings"


@pytest.mark.parametrize("stack", STACKS)
def test_the_stacks_here_are_valid(stack: str) -> None:
    file = config.DIRECTORY / f"Pulumi.{stack}.yaml"
    jsonschema.validate(yaml.safe_load(file.read_text()), schema.schema())
    assert config.read_file(stack).projects
    assert "$schema=settings.schema.json" in file.read_text().splitlines()[0], "editors find the schema by this line"


def test_the_schema_refuses_what_the_settings_refuse() -> None:
    wrong = {"config": {"buildyard:cluster": {"nme": "ci"}, "buildyard:projects": []}}
    messages = [error.message for error in jsonschema.Draft7Validator(schema.schema()).iter_errors(wrong)]
    assert any("nme" in message for message in messages)
    assert any("[]" in message for message in messages)


def test_the_project_declares_no_keys() -> None:
    project = yaml.safe_load((config.DIRECTORY.parent / "Pulumi.yaml").read_text())
    assert "config" not in project, "Pulumi refuses declared keys of ours in a project of another name"


def test_every_setting_is_described() -> None:
    undescribed = [name for name, field in Settings.model_fields.items() if not field.description]
    assert not undescribed


def test_the_table_of_architectures_has_a_row_for_each() -> None:
    for architecture in Architecture:
        assert architecture.ami_type.startswith("AL2023_")
        assert architecture.platform == f"linux/{architecture}"
        assert architecture.instance_architecture
        assert DEFAULT_NODES[architecture].instance_types == architecture.instance_types


def test_this_machines_processor_is_in_the_table() -> None:
    assert platform.machine() in {architecture.machine for architecture in Architecture}


def test_the_namespaces_description_names_its_default() -> None:
    described = Runners.model_fields["namespace"].description
    assert described
    assert f"`{default_namespace('STACK')}`" in described
