"""The same programs through the pulumi CLI and through the embedded engine, compared. Skipped without the CLI."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.engine.preview_json import preview_digest
from tests.sandbox.engine.bench import PASSPHRASE, Bench
from tests.sandbox.engine.fake_provider import FakeProvider

pytestmark = pytest.mark.skipif(
    not (shutil.which("pulumi") and shutil.which("pulumi-language-python")),
    reason="needs `pulumi` and `pulumi-language-python` on PATH to compare with",
)

CREATED = """
    group = Group("group")
    a = Thing("a", Options(parent=group), size=1, secret=pulumi.Output.secret("hunter2"), tags={"x": "1", "y": None})
    timeouts = pulumi.CustomTimeouts(create="5m")
    b = Thing("b", Options(parent=group, depends_on=[a], additional_secret_outputs=["arn"], custom_timeouts=timeouts),
        of=a.arn, hidden=pulumi.Output.secret(a.arn))
    other = Provider("other", region="there")
    c = Thing("c", Options(provider=other, protect=True), name="c", mixed=a.arn.apply(lambda arn: {"arn": arn, "n": 1}))
    d = Thing("d", Options(ignore_changes=["size"]), name="d")
    e = Thing("e", place="here")
    f = Thing("f", force=e.arn)
    g = Thing("g", of=e.arn)
    hook = pulumi.ResourceHook("let go", lambda args: None)
    h = Thing("h", Options(hooks=pulumi.ResourceHookBinding(before_delete=[hook])), force=e.arn)
    pulumi.export("arn", b.arn)
    pulumi.export("secret", a.secret)
    pulumi.export("list", [a.arn, {"id": b.id}])
"""
CHANGED = CREATED.replace("size=1", "size=2").replace(", protect=True", "").replace('name="d"', 'name="d2", size=7')
MOVED = CHANGED.replace('"here"', '"there"').replace(
    'Group("group")', 'Group("renamed", Options(aliases=[pulumi.Alias(name="group")]))'
)
SHRUNK = "\n".join(
    line for line in MOVED.splitlines() if not line.strip().startswith(("g =", "f =", "h =", "pulumi.export"))
)


class Cli:
    """The pulumi CLI on a stack of its own, with a fake provider of its own."""

    def __init__(self, project: Path, home: Path) -> None:
        self.provider = FakeProvider()
        self._server, port = self.provider.serve()
        self._project = project
        (home / "backend").mkdir(parents=True)
        self._environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # the CLI runs the program on PATH's python
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{home / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_DEBUG_PROVIDERS": f"fake:{port}",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def run(self, *arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self._project,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout

    def export(self) -> Any:
        return json.loads(self.run("stack", "export", "-s", "sandbox"))


@pytest.fixture
def cli(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    cli = Cli(bench.root, tmp_path_factory.mktemp("cli") / "home")
    bench.configure("config: {'fake:region': here, 'demo:object': {a: [1, true]}}")
    cli.run("stack", "init", "sandbox")
    return cli


@pytest.mark.timeout(600)
def test_previews_calls_and_states_are_those_of_the_pulumi_cli(bench: Bench, cli: Cli) -> None:
    for stage, program in {
        "create": CREATED,
        "same": CREATED,
        "change": CHANGED,
        "move": MOVED,
        "shrink": SHRUNK,
    }.items():
        bench.program(program)
        bench.provider.calls.clear()
        cli.provider.calls.clear()

        report = bench.preview()
        ours = preview_digest(report.journal, bench.stack().config, report.duration)
        theirs = json.loads(cli.run("preview", "--json", "-s", "sandbox"))
        for digest in (ours, theirs):
            digest["steps"].sort(key=lambda step: step["urn"])
        assert _comparable(ours) == _comparable(theirs), f"{stage}: the previews differ"

        assert bench.update().ok
        cli.run("up", "--yes", "--skip-preview", "-s", "sandbox")
        assert sorted(bench.provider.calls) == sorted(cli.provider.calls), (
            f"{stage}: the providers were called otherwise"
        )
        states = [_by_urn(json.loads(bench.state_text())), _by_urn(cli.export())]
        assert states[0] == states[1], f"{stage}: the states differ"


@pytest.mark.timeout(600)
def test_what_is_made_halfway_is_recorded_and_completed_as_by_the_pulumi_cli(bench: Bench, cli: Cli) -> None:
    bench.program('half = Thing("half", secret=pulumi.Output.secret("hunter2"))\nThing("after", of=half.arn)')
    for halfway in ({("create", "half"): "no answer"}, {("update", "half"): "still none"}, {}):
        bench.provider.halfway = cli.provider.halfway = halfway
        ours = preview_digest((report := bench.preview()).journal, bench.stack().config, report.duration)
        theirs = json.loads(cli.run("preview", "--json", "-s", "sandbox"))
        for digest in (ours, theirs):
            digest["steps"].sort(key=lambda step: step["urn"])
        assert _comparable(ours) == _comparable(theirs), f"{halfway}: the previews differ"

        assert bench.update().ok == (not halfway)
        cli.run("up", "--yes", "--skip-preview", "-s", "sandbox", fails=bool(halfway))
        assert _by_urn(json.loads(bench.state_text())) == _by_urn(cli.export()), f"{halfway}: the states differ"
    assert sorted(bench.provider.calls) == sorted(cli.provider.calls)


@pytest.mark.timeout(600)
def test_the_pulumi_cli_takes_over_a_state_and_hands_it_back(bench: Bench, cli: Cli, tmp_path: Path) -> None:
    bench.deploy(CREATED)
    cli.provider.objects.update(bench.provider.objects)
    cli.run("stack", "import", "-s", "sandbox", "--file", str(bench.stack().file.path))
    summary = json.loads(cli.run("preview", "--json", "-s", "sandbox"))["changeSummary"]
    assert set(summary) == {"same"}, "the CLI reads our state, secrets included, and finds everything in place"

    exported = tmp_path / "exported.json"
    cli.run("stack", "export", "-s", "sandbox", "--file", str(exported))
    shutil.copy(exported, bench.stack().file.path)
    report = bench.preview()
    assert report.ok
    assert set(report.journal.counts()) == {"same"}, "and we read its"


def _by_urn(state: Any) -> Any:
    resources = state["deployment"]["resources"]
    return {resource["urn"]: _comparable(resource) for resource in resources}


def _comparable(value: Any) -> Any:
    """Without what differs from run to run: times, random names and ids, ciphertext, paths of the host's own files."""
    if isinstance(value, dict):
        dropped = ("stackTrace", "created", "modified", "duration", "ciphertext")
        return {key: _comparable(item) for key, item in value.items() if key not in dropped}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, str):
        value = re.sub(r"^project:///\.\./.*", "(outside)", value)
        value = re.sub(r"(?<=::)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
                       lambda match: match[0] if match[0].startswith("04da6b54") else "(uuid)", value)  # fmt: skip
        return re.sub(r"-id\d+|-[0-9a-f]{7}\b", "(random)", value)
    return value
