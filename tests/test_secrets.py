"""Secrets are marked and planted wherever a stack has some; then everything that was written is searched for them."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from sandbox.scratch import ScratchProject, scratch_project

FOREIGN, OURS, NESTED, VARIABLE = (f"marked-{name}-hunter2" for name in ("foreign", "ours", "nested", "variable"))

ENCRYPT = """
import sys
from rich.console import Console
from sandbox import server
from sandbox.endpoints import data_directory
from sandbox.engine import install
from sandbox.engine.cli import open_stack
with open_stack(install.pulumi(Console()), data_directory(), server.start(data_directory())) as cli:
    for number, value in enumerate(sys.argv[1:]):
        cli.ask("config", "set", "--secret", f"example:secret{number}", value)
    print((cli.data / "pulumi" / "project" / "Pulumi.sandbox.yaml").read_text())
"""

HOLDERS = {"endpoints.json", "gitlab/token", "pulumi/passphrase", "kubernetes/objects.json", "gitlab/state.json"}
"""The sandbox's own keys, and the stores of its Kubernetes and GitLab, which must hold what they are given."""


@dataclass(frozen=True)
class Planted:
    """A deployed stack with secrets in it, and all that its commands printed."""

    project: ScratchProject
    secrets: dict[str, str]
    printed: dict[str, str]


@pytest.fixture(scope="module")
def planted() -> Iterator[Planted]:
    with scratch_project() as project:
        printed = {"up": said(project, "up")}
        python = project.command()[0]
        done = subprocess.run(
            [python, "-c", ENCRYPT, FOREIGN, OURS, NESTED],
            cwd=project.root,
            env=project.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        foreign, ours, nested = [line.split()[1] for line in done.stdout.splitlines() if "secure:" in line]
        endpoints = project.endpoints()
        requests.post(
            f"{endpoints['gitlab']}/api/v4/projects/platform%2Fimages/variables",
            headers={"PRIVATE-TOKEN": endpoints["gitlab_token"]},
            json={"key": "NPM_TOKEN", "value": VARIABLE, "masked": True},
            timeout=30,
        ).raise_for_status()
        config = project.read_config()
        config["example:token"] = {"secure": foreign}
        config["buildyard:projects"][0]["images"][0]["secrets"] = {"npm": "NPM_TOKEN"}
        project.write_config(config)
        printed["up with secrets"] = said(project, "up")
        printed["outputs"] = said(project, "pulumi", "stack", "output", "--json")
        config["buildyard:nodes"]["arm64"]["disk"] = "250Gi"
        project.write_config(config)
        printed["preview"] = said(project, "preview")
        digest = project.data / "preview.json"
        digest.write_text(said(project, "preview", "--json"))
        arguments = ["--stack", "dev", "--preview", str(digest), "--note", str(project.data / "note.md")]
        command = [sys.executable, "-m", "delivery", "preview-report", *arguments]
        subprocess.run([*command, "--widget", str(project.data / "widget.json")], cwd=project.root, check=True)
        config["buildyard:tags"] = {"secure": ours}
        config["buildyard:projects"][0]["images"][0]["build-args"] = {"TOKEN": {"secure": nested}}
        project.write_config(config)
        for name, arguments in {"refusal": ["preview"], "refusal as JSON": ["preview", "--json"]}.items():
            done = project.sandbox(*arguments)
            assert done.returncode != 0
            printed[name] = done.stdout + done.stderr
        repository = project.data / "gitlab" / "platform" / "images.git"
        history = subprocess.run(
            ["git", "log", "-p", "--all"], cwd=repository, capture_output=True, text=True, check=True
        )
        printed["published"] = history.stdout
        objects = json.loads((project.data / "kubernetes" / "objects.json").read_text())["objects"].values()
        tokens = [each["data"]["runner-token"] for each in objects if "runner-token" in each.get("data", {})]
        secrets = {
            **{name: name for name in (FOREIGN, OURS, NESTED, VARIABLE)},
            **{f"token of runner {number}": base64.b64decode(token).decode() for number, token in enumerate(tokens)},
            "GitLab's token": endpoints["gitlab_token"],
            "the passphrase": (project.data / "pulumi" / "passphrase").read_text(),
        }
        yield Planted(project, secrets, printed)


def said(project: ScratchProject, *arguments: str) -> str:
    """The standard output of a command that passes; its standard error must be clean, too, and is kept beside it."""
    done = project.sandbox(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    with (project.data / "log" / "errors-of-the-test.log").open("a") as log:
        log.write(done.stderr)
    return done.stdout


def test_every_kind_of_secret_is_planted(planted: Planted) -> None:
    runners = [what for what in planted.secrets if what.startswith("token of runner")]
    assert len(runners) >= 2, "there is a runner per architecture"
    assert all(len(secret) > 10 for secret in planted.secrets.values())
    assert "use_secret npm NPM_TOKEN" in planted.printed["published"]
    assert "250" in (planted.project.data / "note.md").read_text()


def test_an_encrypted_setting_is_refused_by_its_key(planted: Planted) -> None:
    for refusal in (planted.printed["refusal"], planted.printed["refusal as JSON"]):
        assert "buildyard:tags: is encrypted, but would be published in clear text" in refusal
        assert "buildyard:projects[0].images[0].build-args.TOKEN: is encrypted" in refusal


def test_no_secret_is_in_anything_that_was_written_or_printed(planted: Planted) -> None:
    written = {name: text.encode() for name, text in planted.printed.items()}
    for top in (planted.project.root, planted.project.data):
        for path in top.rglob("*"):
            name = str(path.relative_to(top))
            if path.is_file() and not path.is_symlink() and name not in HOLDERS and not _linked(path, top):
                written[name] = path.read_bytes()
    assert any(name.startswith("pulumi/backend/") for name in written), "the state is not searched"
    assert {"log/requests.log", "preview.json", "note.md"} <= written.keys()
    found = [
        f"{what} is in {where}"
        for where, content in written.items()
        for what, secret in planted.secrets.items()
        for form in (secret.encode(), base64.b64encode(secret.encode()).rstrip(b"="))
        if form in content
    ]
    assert found == []


def _linked(path: Path, top: Path) -> bool:
    """Whether the path leads out of the folder: to the environment or the tools that all copies share."""
    return any(parent.is_symlink() for parent in path.parents if parent.is_relative_to(top))
