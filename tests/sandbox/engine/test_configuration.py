"""Configuration, providers, and everything that the engine refuses by name."""

import json

import pytest

from sandbox.engine import operation
from sandbox.engine.encryption import Crypter
from sandbox.engine.errors import EngineError
from sandbox.values import Secret
from tests.sandbox.engine.bench import PASSPHRASE, Bench, errors


def test_the_program_reads_its_configuration_as_from_the_pulumi_cli(bench: Bench) -> None:
    crypter = Crypter.create(PASSPHRASE)
    (bench.root / "Pulumi.yaml").write_text(
        "name: demo\nruntime: {name: python}\nstackConfigDir: stacks\n"
        "config:\n  size: {default: 3, type: integer}\n  other:fixed: {value: yes it is}\n"
        "  described: {description: x}\n"
    )
    bench.configure(
        f"""
        encryptionsalt: {crypter.salt_text}
        config:
          demo:plain: text
          short: 5
          demo:object: {{a: [1, true], b: {{c: d}}}}
          demo:token: {{secure: "{crypter.encrypt("hunter2")}"}}
        """
    )
    bench.program(
        """
        config = pulumi.Config()
        pulumi.export("seen", [
            config.require("plain"), config.require_int("short"), config.require_object("object"),
            config.require_int("size"), pulumi.Config("other").require("fixed"), config.get("described"),
            pulumi.get_stack(), pulumi.get_project(),
        ])
        pulumi.export("token", config.require_secret("token"))
        """
    )
    report = bench.preview()
    assert report.outputs["seen"] == [
        "text",
        5,
        {"a": [1, True], "b": {"c": "d"}},
        3,
        "yes it is",
        None,
        "sandbox",
        "demo",
    ]
    assert report.outputs["token"] == Secret("hunter2")
    masked = bench.stack().config.masked()
    assert masked["demo:token"] == "[secret]"
    assert json.loads(masked["demo:object"]) == {"a": [1, True], "b": {"c": "d"}}


def test_the_stacks_own_salt_encrypts_the_state(bench: Bench) -> None:
    salt = Crypter.create(PASSPHRASE).salt_text
    bench.configure(f"encryptionsalt: {salt}\nconfig: {{}}")
    bench.deploy('Thing("a", secret=pulumi.Output.secret("hunter2"))')
    assert salt in bench.state_text()


def test_a_default_provider_has_the_version_and_the_packages_configuration(bench: Bench) -> None:
    bench.configure("config: {'fake:region': here, 'fake:labels': {a: b}}")
    bench.deploy('Thing("a")')
    provider = bench.resources()["default_1_2_3"]
    assert provider.type == "pulumi:providers:fake"
    assert provider.inputs == {"version": "1.2.3", "region": "here", "labels": '{"a":"b"}', "__internal": {}}
    assert bench.resources()["a"].provider == f"{provider.urn}::{provider.id}"
    assert bench.provider.configurations[-1]["region"] == "here"


def test_an_explicit_provider_is_a_resource_with_its_own_configuration(bench: Bench) -> None:
    program = """
        first = Thing("first")
        other = Provider("other", region=first.arn)
        Thing("second", Options(provider=other))
        Thing("child", Options(parent=Group("group", Options(providers=[other]))))
    """
    bench.program(program)
    assert bench.preview().ok, "in a preview its configuration may still be unknown"
    bench.deploy(program)
    saved = bench.resources()
    assert saved["second"].provider == f"{saved['other'].urn}::{saved['other'].id}"
    assert saved["child"].provider == saved["second"].provider
    assert {"region": "arn:first-id1"} in bench.provider.configurations
    assert bench.update().unchanged


def test_resources_are_deleted_with_the_provider_that_made_them(bench: Bench) -> None:
    bench.deploy('Thing("second", Options(provider=Provider("other", region="there")))')
    bench.provider.configurations.clear()
    bench.deploy("")
    assert not bench.provider.objects
    assert {"region": "there"} in bench.provider.configurations, "its settings come from the state"


def test_a_new_version_of_a_default_provider_takes_over(bench: Bench) -> None:
    bench.deploy('Thing("a")')
    report = bench.deploy('Thing("a", Options(version="2.0.0"))')
    assert report.journal.counts() == {"same": 2}
    assert list(bench.provider.objects) == ["a-id1"]
    assert "default_2_0_0" in bench.resources()
    assert "default_1_2_3" not in bench.resources()


def test_a_package_without_provider_is_refused_once_with_what_there_is(bench: Bench) -> None:
    bench.program(
        """
        class Cloud(pulumi.CustomResource): pass
        for name in "abc":
            Cloud("azure:index:Thing", name, {})
        """
    )
    assert errors(bench.preview()) == [
        "pulumi:providers:azure 'default': the sandbox has no provider 'azure'; it has fake"
    ], "one message, not one for each resource"


def test_any_other_stack_is_refused_with_what_to_use_instead(bench: Bench) -> None:
    with pytest.raises(EngineError, match="pulumi up --stack prod"):
        operation.open_stack("prod", project_root=bench.root, data=bench.root, ports={}, environment={})


@pytest.mark.parametrize(
    ("program", "named"),
    [
        ('Thing("a", Options(import_="some-id"))', "import_"),
        ('Thing("a", Options(deleted_with=Group("g")))', "DeletedWith"),
        ('Thing("a", Options(transforms=[lambda args: None]))', "transforms"),
        ('Thing("a", file=pulumi.FileAsset("x"))', "an asset"),
        (
            'class Remote(pulumi.ComponentResource): pass\nRemote("fake:index:R", "r", {}, None, remote=True)',
            "remote (multi-language) components",
        ),
        ('pulumi.runtime.call("fake:index:Thing/method", {}, Thing("a"))', "Call"),
    ],
)
def test_what_the_engine_does_not_support_fails_by_name(bench: Bench, program: str, named: str) -> None:
    bench.program(program)
    report = bench.preview()
    assert not report.ok, "silently ignoring it would deploy something else than the pulumi CLI"
    assert named in " ".join(errors(report))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ("config: {'pulumi:autonaming': {mode: verbatim}}", "pulumi:autonaming"),
        ("config: {'demo:x': {secure: 'v1:a:b'}}", "encryptionsalt"),
        ("secretsprovider: awskms://key\nconfig: {}", "secretsprovider"),
        ("- a list", "must be a mapping"),
        ("config: {unclosed", "not valid YAML"),
    ],
)
def test_a_stack_file_that_cannot_be_honoured_is_refused(bench: Bench, settings: str, named: str) -> None:
    bench.configure(settings)
    with pytest.raises(EngineError, match=named):
        bench.stack()
