"""The files that settings are read from."""

from pathlib import Path

import pytest
import yaml

from stacks import config
from stacks.problems import SettingsError
from tests.stacks.stack_settings import raw


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stacks' files, with one for `dev` that has nothing in it."""
    monkeypatch.setattr(config, "DIRECTORY", tmp_path)
    (tmp_path / "Pulumi.dev.yaml").write_text("")
    return tmp_path


def refused(stack: str) -> str:
    with pytest.raises(SettingsError) as caught:
        config.read_file(stack)
    return str(caught.value)


def test_the_settings_are_the_keys_of_our_namespace(directory: Path) -> None:
    values = {"aws:region": "ap-east-1", **{f"buildyard:{key}": value for key, value in raw().items()}}
    (directory / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": values}))
    assert config.read_file("dev").cluster.name == "ci"
    assert config.read_values("dev") == values


def test_the_hint_for_an_unknown_stack_is_the_most_similar_one(directory: Path) -> None:
    assert refused("dve") == (
        "stacks/Pulumi.dve.yaml has 1 problem; nothing was changed.\n"
        "  1. stacks/Pulumi.dve.yaml: the file does not exist\n      Did you mean dev?"
    )


@pytest.mark.parametrize("text", ["- a", "text", "3", "config: []", "config: text", "config: 3"])
def test_a_file_that_is_not_a_mapping_is_refused(directory: Path, text: str) -> None:
    (directory / "Pulumi.dev.yaml").write_text(text)
    assert "1. stacks/Pulumi.dev.yaml: is not a mapping, or its `config` is not" in refused("dev")


def test_wrong_syntax_is_refused_with_its_position(directory: Path) -> None:
    (directory / "Pulumi.dev.yaml").write_text("config:\n  a: [")
    message = refused("dev")
    assert "1. stacks/Pulumi.dev.yaml: is not YAML: while parsing" in message
    assert "line 2" in message
    assert "Fix the file's syntax." in message


@pytest.mark.parametrize("text", ["", "config:", "config: {}", "other: 1"])
def test_a_file_without_settings_lacks_the_required_keys(directory: Path, text: str) -> None:
    (directory / "Pulumi.dev.yaml").write_text(text)
    message = refused("dev")
    assert message.startswith("stacks/Pulumi.dev.yaml has 2 problems")
    assert "buildyard:cluster: is missing" in message
    assert "buildyard:projects: is missing" in message
