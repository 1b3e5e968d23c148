"""Tests of `python -m pipeline`."""

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from pipeline.__main__ import main
from stacks import config
from stacks.partitions import registry_host


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a stack `test`, the only stack."""
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(
        "config:\n  aws:region: ap-east-1\n  buildyard:cluster: {name: ci}\n  buildyard:projects:\n"
        "    - {path: platform/images, images: [{name: one, context: one}]}\n"
        "    - {path: platform/tools, images: [{name: two, context: two}]}\n"
    )
    monkeypatch.setattr(config, "DIRECTORY", tmp_path)
    return file


def test_a_stacks_pipelines_are_printed_with_a_name_for_the_unknown_account(
    stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--stack", "test"]) == 0
    printed = capsys.readouterr().out
    assert "build_image one AWS_ACCOUNT_ID.dkr.ecr.ap-east-1.amazonaws.com/platform/images/one" in printed
    assert "build-two:arm64" in printed


def test_the_account_is_taken_from_the_settings_that_say_it(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack.write_text(stack.read_text() + "  buildyard:registry: {account: '123456789012'}\n")
    assert main(["--stack", "test"]) == 0
    assert "AWS_ACCOUNT_ID" not in capsys.readouterr().out


def test_one_project_is_printed_alone(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stack", "test", "--project", "platform/tools"]) == 0
    assert "build-one" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--stack", "tset"], ["--stack", "test", "--project", "platform/tool"]])
def test_what_does_not_exist_is_told_with_what_does(
    stack: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 1
    assert "Did you mean" in capsys.readouterr().err


def test_nothing_of_the_engine_or_the_cloud_is_loaded() -> None:
    program = "import pipeline.__main__, sys; print([m for m in ('pulumi', 'components', 'boto3') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", "a pipeline could not be printed without Pulumi or credentials"


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("ap-east-1", "123456789012.dkr.ecr.ap-east-1.amazonaws.com"),
        ("cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_registrys_host_follows_the_partition(region: str, host: str) -> None:
    assert registry_host("123456789012", region) == host


TEXT = """config:
  aws:region: ap-east-1
  buildyard:cluster: {name: ci}
  buildyard:nodes: {arm64: &nodes {instance-types: [m7g.large], max-size: 3, disk: 100Gi}, amd64: *nodes}
  buildyard:runners: {group: platform, defaults: {cpu: {request: "1"}}, namespace: builds}
  buildyard:tags: {owner: platform}
  buildyard:projects:
    - path: platform/images
      default-branch: release/1.2
      images:
        - {name: base, context: ., build-args: {A: "1"}, secrets: {npm: NPM_TOKEN}}
        - {name: web, context: web, dockerfile: ../Dockerfile, depends-on: [base], target: run}
"""

JUNK = [
    "..",
    "/",
    "\0",
    "\n",
    "  ",
    "&a ",
    "*nodes",
    "<<: ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "null",
    "3",
    "9" * 40,
    "٣",
    "secure",
]


@run_settings(max_examples=300, deadline=None)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(TEXT)), st.integers(0, 12), st.sampled_from(JUNK) | st.text(max_size=3)),
        min_size=1,
        max_size=3,
    )
)
def test_any_text_is_a_stack_or_refused_in_words(edits: list[tuple[int, int, str]]) -> None:
    """A traceback would fail this test: every exception but `SettingsError` leaves `main`."""
    text = TEXT
    for position, removed, added in edits:
        text = text[:position] + added + text[position + removed :]
    out, err = io.StringIO(), io.StringIO()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "DIRECTORY", Path(folder))
        Path(folder, "Pulumi.test.yaml").write_bytes(text.encode(errors="surrogatepass"))
        with redirect_stdout(out), redirect_stderr(err):
            status = main(["--stack", "test"])
    assert (status, bool(out.getvalue()), bool(err.getvalue())) in ((0, True, False), (1, False, True))
    assert status == 0 or err.getvalue().startswith("stacks/Pulumi.test.yaml has ")
