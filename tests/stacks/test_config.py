"""The files that settings are read from."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pulumi
import pytest
import yaml

from stacks import config
from stacks.problems import SettingsError
from stacks.settings import Settings
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
    assert "1. stacks/Pulumi.dev.yaml: is not YAML: did not find expected node content, line 3, column 1" in message
    assert "Fix the file's syntax." in message


@pytest.mark.parametrize("text", ["", "config:", "config: {}", "other: 1"])
def test_a_file_without_settings_lacks_the_required_keys(directory: Path, text: str) -> None:
    (directory / "Pulumi.dev.yaml").write_text(text)
    message = refused("dev")
    assert message.startswith("stacks/Pulumi.dev.yaml has 2 problems")
    assert "buildyard:cluster: is missing" in message
    assert "buildyard:projects: is missing" in message


SETTINGS = """config:
  buildyard:cluster: {name: ci}
  buildyard:projects: [{path: platform/images, images: [{name: toolbox, context: images/toolbox}]}]
"""


def write(directory: Path, *lines: str) -> None:
    (directory / "Pulumi.dev.yaml").write_text("\n".join([SETTINGS.rstrip(), *lines]))


Program = Callable[..., Settings]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """`program(secret, key=text, ...)` loads the settings when Pulumi passes these texts, and those of `SETTINGS`."""
    smallest = {key: json.dumps(value) for key, value in yaml.safe_load(SETTINGS)["config"].items()}

    def load(*secret: str, **texts: str) -> Settings:
        ours = {f"buildyard:{key}": text for key, text in texts.items()}
        pulumi.runtime.set_all_config({**smallest, **ours}, [f"buildyard:{key}" for key in secret])
        return config.load()

    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    yield load
    pulumi.runtime.set_all_config({}, [])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("  3: x", "config: has a key that is not a string: 3, line 4, column 3"),
        ("  null: x", "config: has a key that is not a string: null, line 4, column 3"),
        ("3: x", "stacks/Pulumi.dev.yaml: has a key that is not a string: 3, line 4, column 1"),
        ("  cluster: {name: ci}", "config.cluster: has no namespace"),
        ("  buildyard:cluster: {name: x}", "buildyard:cluster: is there twice, line 4, column 3"),
        ("  buildyard:tags: {a: x, a: y}", "buildyard:tags.a: is there twice, line 4, column 26"),
        ("  buildyard:tags: {3: x}", "buildyard:tags: has a key that is not a string: 3, line 4, column 20"),
        ("  buildyard:tags: {a: 2026-01-01}", "buildyard:tags.a: is a date, which settings cannot contain"),
        ('  buildyard:tags: {a: "\\0"}', "buildyard:tags.a: contains NUL or half a character"),
        (f"  buildyard:tags: {'[' * 3000}{']' * 3000}", "stacks/Pulumi.dev.yaml: is nested deeper than 50 levels"),
        ("encryptionsalt: x\nencryptionsalt: y", "encryptionsalt: is there twice, line 5, column 1"),
        ('  buildyard:tags: {"a\\e[31m\\n": []}', r"buildyard:tags.'a\x1b[31m\n': [] is not a string"),
    ],
)
def test_what_has_no_meaning_is_refused_by_its_key(directory: Path, program: Program, line: str, problem: str) -> None:
    write(directory, line)
    assert f". {problem}\n" in refused("dev")
    with pytest.raises(SettingsError) as caught:
        program(tags='{"a\\u001b[31m\\n": []}')
    assert f". {problem}\n" in str(caught.value), "Pulumi drops a null key, keeps one of two, and rewrites a date"


def test_a_file_that_is_not_text_is_refused(directory: Path, program: Program) -> None:
    (directory / "Pulumi.dev.yaml").write_bytes(SETTINGS.encode() + b"  buildyard:tags: {a: '\xff'}")
    assert "1. stacks/Pulumi.dev.yaml: is not UTF-8, in line 4\n" in refused("dev")
    with pytest.raises(SettingsError, match="is not UTF-8, in line 4"):
        program()


def test_a_file_that_cannot_be_read_is_refused(directory: Path) -> None:
    (directory / "Pulumi.folder.yaml").mkdir()
    assert "1. stacks/Pulumi.folder.yaml: cannot be read: Is a directory\n" in refused("folder")


@pytest.mark.parametrize("stack", ["../dev", "dev\0", "", "d" * 300])
def test_what_is_no_stacks_name_is_refused(directory: Path, stack: str) -> None:
    assert "is not the name of a stack" in refused(stack)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": ', "buildyard:tags: is not JSON: Expecting value, line 1, column 7"),
        ('{"a": 1, "a": 2}', "buildyard:tags: contains a mapping with two keys 'a'"),
        ("[" * 3000, "buildyard:tags: is nested deeper than 50 levels"),
        ('{"a": "\\u0000"}', "buildyard:tags.a: contains NUL or half a character"),
    ],
)
def test_a_json_text_is_refused_by_its_key(directory: Path, program: Program, text: str, problem: str) -> None:
    write(directory, f"  buildyard:tags: {json.dumps(text)}")
    assert f"1. {problem}\n" in refused("dev")
    with pytest.raises(SettingsError) as caught:
        program(tags=text)
    assert f"1. {problem}\n" in str(caught.value)


def test_a_json_text_means_the_same_with_and_without_pulumi(directory: Path, program: Program) -> None:
    """`pulumi config set` writes such a text."""
    text = '{"owner": "platform"}'
    write(directory, f"  buildyard:tags: {json.dumps(text)}")
    assert config.read_file("dev") == program(tags=text) == program(tags=json.dumps({"owner": "platform"}))
    assert config.read_file("dev").tags == {"owner": "platform"}


@pytest.mark.parametrize("text", ["''", "null", "~", ""])
def test_a_key_that_pulumi_takes_for_unset_is_unset(directory: Path, program: Program, text: str) -> None:
    write(directory, f"  buildyard:identity: {text}")
    assert config.read_file("dev") == program(identity="")


@pytest.mark.parametrize("region", ["[a]", "3", "eu_central_1", "''", '"a/b.c"'])
def test_a_region_that_is_none_is_refused(directory: Path, region: str) -> None:
    write(directory, f"  aws:region: {region}")
    with pytest.raises(SettingsError, match="aws:region: is not an AWS region"):
        config.region("dev")


def test_the_region_is_that_of_the_aws_provider(directory: Path) -> None:
    assert config.region("dev") is None
    write(directory, "  aws:region: us-gov-west-1")
    assert config.region("dev") == "us-gov-west-1"


SECRET = "hunter2-marked"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (f"  buildyard:registry: {{secure: {SECRET}}}", "buildyard:registry"),
        (f"  buildyard:tags: {{owner: {{secure: {SECRET}}}}}", "buildyard:tags.owner"),
        (
            f"  buildyard:nodes: {{arm64: {{instance-types: [{{secure: {SECRET}}}]}}}}",
            "buildyard:nodes.arm64.instance-types[0]",
        ),
    ],
)
def test_an_encrypted_value_is_refused_by_its_key(directory: Path, program: Program, line: str, key: str) -> None:
    write(directory, line)
    expected = f"1. {key}: is encrypted, but would be published in clear text\n"
    assert expected in refused("dev")
    assert SECRET not in refused("dev")
    with pytest.raises(SettingsError) as caught:
        program("tags", tags=json.dumps({"owner": SECRET}))
    assert expected in str(caught.value), "Pulumi says only which of our keys contains a secret, the file says where"


def test_a_decrypted_value_is_refused_without_the_file(directory: Path, program: Program) -> None:
    """`pulumi up --config-file` reads another file."""
    (directory / "Pulumi.dev.yaml").unlink()
    with pytest.raises(SettingsError) as caught:
        program("tags", "nodes", tags=json.dumps({"owner": SECRET}), nodes=json.dumps([SECRET]), identity="wrong")
    assert [problem.path for problem in caught.value.problems] == [
        "buildyard:tags",
        "buildyard:nodes",
        "buildyard:identity",
    ]
    assert SECRET not in str(caught.value)


def test_encrypted_values_are_refused_together_with_all_other_problems(directory: Path, program: Program) -> None:
    write(
        directory,
        f"""\
  buildyard:identity: wrong
  buildyard:tags: {{owner: {{secure: {SECRET}}}, team: [1]}}
  buildyard:registry: {{secure: {SECRET}}}
  buildyard:runners: {{concurrent: {{secure: {SECRET}}}, defaults: {{memory: {{limit: many}}}}}}""",
    )
    message = refused("dev")
    with pytest.raises(SettingsError) as caught:
        program("tags", "registry", "runners", identity="wrong")
    assert str(caught.value) == message, "a preview would show other problems than the command line"
    paths = [problem.path for problem in caught.value.problems]
    assert paths[:3] == ["buildyard:tags.owner", "buildyard:registry", "buildyard:runners.concurrent"]
    assert sorted(paths[3:]) == [
        "buildyard:identity",
        "buildyard:runners.defaults.memory.limit",
        "buildyard:tags.team",
    ]
    assert SECRET not in message


def test_another_providers_secret_is_its_own(directory: Path, program: Program) -> None:
    write(directory, f"  gitlab:token: {{secure: {SECRET}}}")
    assert config.read_file("dev") == program()
