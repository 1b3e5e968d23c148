"""Tests with repositories that try to harm whoever reads them."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stacks.propose import checkout as checkouts
from stacks.propose import shell
from stacks.propose.checkout import Checkout, CheckoutError
from stacks.propose.text import MAX_TEXT, expand
from tests.stacks.propose.repositories import images_of, proposed_text, repository, settings_of

DOCKERFILE = {"Dockerfile": "FROM debian\n"}


def test_nothing_is_executed(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    commands = f"touch {marker}; $(touch {marker}); `touch {marker}`; eval touch {marker}"
    root = repository(
        tmp_path / "repository",
        {
            ".gitlab-ci.yml": f"web: {{script: ['{commands}', ./run.sh, 'docker build -t x:$(touch {marker}) .']}}\n",
            "run.sh": commands,
            "Dockerfile": f"FROM debian\nRUN touch {marker}\nARG A=$(touch {marker})\n",
        },
    )
    assert list(images_of(root)) == ["x"]
    assert not marker.exists()


def test_links_out_of_the_repository_are_not_read(tmp_path: Path) -> None:
    outside = repository(
        tmp_path / "outside", {"Dockerfile": "FROM secret\n", "ci.yml": "x: {script: [docker build -t a/stolen .]}\n"}
    )
    root = repository(tmp_path / "inside", {"web/Dockerfile": "FROM debian\n"})
    (root / "linked").symlink_to(outside)
    (root / "web/Containerfile").symlink_to(outside / "Dockerfile")
    (root / "ci.yml").symlink_to(outside / "ci.yml")
    (root / ".gitlab-ci.yml").write_text("include: [{local: ci.yml}, {local: ../outside/ci.yml}]\n")
    text = proposed_text(root)
    assert list(images_of(root)) == ["web"]
    assert "stolen" not in text
    assert text.count("is included, but is no file of the repository") == 2


def test_gits_own_folder_may_not_be_a_link(tmp_path: Path) -> None:
    other = repository(tmp_path / "other", {}, remote="https://gitlab.example.com/secret/project.git")
    root = repository(tmp_path / "root", DOCKERFILE, remote=None)
    (root / ".git").symlink_to(other / ".git")
    assert "secret" not in proposed_text(root)


def test_pipes_and_devices_do_not_block(tmp_path: Path) -> None:
    root = repository(tmp_path, {"web/Dockerfile": "FROM debian\n"})
    os.mkfifo(root / "Dockerfile")
    os.mkfifo(root / ".gitlab-ci.yml")
    assert list(images_of(root)) == ["web"]


def test_large_files_and_repositories_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository(tmp_path, {"big/Dockerfile": "#" * (checkouts.MAX_BYTES + 1), "web/Dockerfile": "FROM debian\n"})
    assert "big/Dockerfile was not read: it is over 1 MiB" in proposed_text(root)
    monkeypatch.setattr(checkouts, "MAX_ENTRIES", 2)
    with pytest.raises(CheckoutError, match="more than 2 files"):
        proposed_text(root)


def test_reading_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkouts, "MAX_SECONDS", -1.0)
    with pytest.raises(CheckoutError, match="took longer"):
        proposed_text(repository(tmp_path, DOCKERFILE))


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines)


def references() -> str:
    """`!reference` tags that name ten others each, ten levels deep, and end in nothing."""
    lines = [f".r{n}: {{script: [{', '.join([f'!reference [.r{n + 1}, script]'] * 10)}]}}" for n in range(9)]
    return "\n".join([*lines, ".r9: {script: []}", "job: {script: [!reference [.r0, script]]}"])


def matrix(variables: int) -> str:
    return f"{{{', '.join(f'V{n}: [1, 2, 3, 4, 5, 6, 7, 8, 9]' for n in range(variables))}}}"


def extensions() -> str:
    names = [f"j{n}" for n in range(40)]
    return "\n".join(f"{name}: {{extends: [{', '.join(names)}], script: [a]}}" for name in names)


@pytest.mark.parametrize(
    "pipeline",
    [
        bomb(),
        references(),
        extensions(),
        "[" * 5000,
        "include: .gitlab-ci.yml\na: {extends: a, script: [a]}\n",
        "variables: {A: $B$B$B$B, B: $A$A$A$A}\na: {script: [docker build -t $A .]}\n",
        f"a: {{parallel: {{matrix: [{matrix(1)}, {matrix(2)}, 3]}}, script: [a]}}\n",
        f"a: {{parallel: {{matrix: [{matrix(12)}]}}, script: [a]}}\n",
        "a: {script: ['" + "$(" * 20_000 + "']}\n",
        "a: {script: ['" + "for i in 1 2 3 4 5 6 7 8 9; do " * 12 + "docker build .; " + "done; " * 12 + "']}\n",
        "a: {script: ['while ! ./self.sh; do ./self.sh; done']}\n",
        "a: !!python/object/apply:os.system [id]\n",
        "a: {script: [" + "'docker build -f - .'," * 3000 + "]}\n",
    ],
    ids=range(13),
)
def test_a_hostile_pipeline_costs_moments(tmp_path: Path, pipeline: str) -> None:
    root = repository(
        tmp_path, {".gitlab-ci.yml": pipeline, "self.sh": "./self.sh\n. ./self.sh\nsh self.sh\n", **DOCKERFILE}
    )
    start = time.process_time()
    settings_of(proposed_text(root))
    assert time.process_time() - start < 10, "one repository keeps everybody waiting"


def test_variables_that_contain_each_other_stay_short() -> None:
    values = {"A": "$B$B$B$B$B$B$B$B", "B": "$C$C$C$C$C$C$C$C", "C": "$A$A$A$A$A$A$A$A"}
    assert len(expand("$A", values)) <= MAX_TEXT


CONTROL = r"""
web: {script: ["docker build --build-arg 'A=\e[31m' --build-arg \"B=$X\e]0;x\a\" -t x/web ."]}
"\e[2J": {extends: "\e[2J.x"}
"""


def test_terminals_get_no_control_characters(tmp_path: Path) -> None:
    root = repository(
        tmp_path,
        {
            ".gitlab-ci.yml": CONTROL,
            "Dockerfile": "FROM debian\nCOPY --from=$\x1b[31m /a /a\n",
            "we\x1bird/Dockerfile": "FROM debian\n",
        },
    )
    text = proposed_text(root)
    assert not [sign for sign in text if sign != "\n" and not sign.isprintable()], "a terminal obeys the repository"
    assert images_of(root)["web"].build_args["A"] == "\x1b[31m"


def test_a_comment_stays_one_line(tmp_path: Path) -> None:
    pipeline = '"a\\n- name: injected": {script: ["docker build -t x/web \\"$A\\n b: c\\""]}\n'
    text = proposed_text(repository(tmp_path, {".gitlab-ci.yml": pipeline, **DOCKERFILE}))
    assert not any(line.startswith("- name: injected") for line in text.splitlines())


WORDS = """
docker build buildx -t --tag=x/y:z -f Dockerfile . .. / $A ${A:-b} $(x) 'q' " \\ && | cd web --build-arg A=b --secret
id=a,src=b /kaniko/executor --context --target buildctl --local context=web for do done <<EOF { }
"""
KEYS = """
script extends variables parallel matrix tags include local default rules changes before_script image artifacts reports
dotenv timeout stage trigger inherit a .b KUBERNETES_CPU_LIMIT value services build context args target platforms
"""
words = st.sampled_from([*WORDS.split(), "\n"])
lines = st.lists(words, max_size=12).map(" ".join)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=6), lines)
keys = st.sampled_from(KEYS.split())
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=20,
)
pipelines = st.one_of(st.text(max_size=60), st.dictionaries(keys, values, max_size=5).map(yaml.safe_dump))
dockerfiles = st.lists(
    st.one_of(
        st.text(max_size=20), st.builds("{} {}".format, st.sampled_from(["FROM", "ARG", "COPY", "RUN", "ADD"]), lines)
    ),
    max_size=6,
).map("\n".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pipeline=pipelines, dockerfile=dockerfiles, script=lines, service=values)
def test_whatever_is_read_the_proposal_is_valid(
    tmp_path_factory: pytest.TempPathFactory, pipeline: str, dockerfile: str, script: str, service: Any
) -> None:
    job = yaml.safe_dump({"job": {"script": [script, "docker compose build"], "variables": {"A": script}}})
    root = tmp_path_factory.mktemp("repository")
    encoded = {
        "web/Dockerfile": dockerfile,
        "api/Dockerfile": "FROM x/web\n",
        ".gitlab-ci.yml": f"{pipeline}\n{job}" if ":" in pipeline else job,
        "more.sh": script,
        "compose.yaml": yaml.safe_dump({"services": {"web": service, "api": {"build": service}}}),
    }
    for path, content in encoded.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content.encode("utf-8", "surrogatepass"))
    text = proposed_text(root)
    settings_of(text)
    assert not [sign for sign in text if sign != "\n" and not sign.isprintable()]


@settings(max_examples=300, deadline=None)
@given(st.lists(words, max_size=40).map(" ".join))
def test_any_script_is_read(script: str) -> None:
    found = shell.read(script, {"A": "b c"}, lambda path: script if path == "web" else None, lambda _: ["a", "b/"])
    assert all(isinstance(word, str) for command in found.commands for word in command.words)


def test_only_files_that_the_walk_found_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    checkout = Checkout(repository(tmp_path / "root", DOCKERFILE))
    assert checkout.read("Dockerfile") == b"FROM debian\n"
    for path in ("../secret", "/etc/passwd", "./Dockerfile", ".git/config", ""):
        assert checkout.read(path) is None
