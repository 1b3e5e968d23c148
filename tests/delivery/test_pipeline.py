"""Tests of this repository's own `.gitlab-ci.yml`: it is valid, its rules choose the right jobs, and the scripts run.

The scripts run in gitlab-ci-local, with a `pulumi` that prints recorded output of the real one.
"""

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from pipeline.render import PipelineFile
from stacks import config
from stacks.trust import Tier
from stacks.versions import BUILDER_VERSION
from tests.delivery import archives
from tests.delivery.checkout import Checkout
from tests.delivery.previews import DATA
from tests.pipeline.conftest import GitLabCiLocal
from tests.pipeline.events import Event, merge_request, push, selected, started_by
from tests.pipeline.published import jobs

ROOT = Path(__file__).parents[2]
FILE = ROOT / ".gitlab-ci.yml"
PULUMI = """#!/bin/sh
echo "$* as $AWS_ROLE_ARN with $(cat "$AWS_WEB_IDENTITY_TOKEN_FILE"), in GitLab with $GITLAB_TOKEN" >> "$CALLS"
case "$*" in *--save-plan*) echo "the plan" > plan.json ;; esac
case "$*" in
  "stack output builder-image"*) echo "$DEPLOYED" ;;
  "stack output"*) echo "$OUTPUTS" ;;
  *--json*) cat "$PREVIEW"; exit "$PREVIEW_EXIT" ;;
esac
"""
AWS = """#!/bin/sh
test -n "$BUILDER" && exit
echo "An error occurred (ImageNotFoundException) when calling the DescribeImages operation: $*" >&2
exit 254
"""
PYTHON = """#!/bin/sh
test "$2" = venv || exec %s "$@"
mkdir -p .venv/bin
echo '#!/bin/sh' > .venv/bin/pip
printf '#!/bin/sh\\nexec %s "$@"\\n' > .venv/bin/python
chmod +x .venv/bin/*
"""


def resolved() -> dict[str, dict[str, Any]]:
    """The jobs that GitLab makes from the file, with the stack's name filled in."""
    found = jobs((PipelineFile(path=FILE.name, text=FILE.read_text(encoding="utf-8")),))
    for job in found.values():
        stack = job.get("variables", {}).get("STACK", "")
        job["rules"] = [
            {**rule, "changes": {"paths": [path.replace("$STACK", stack) for path in rule["changes"]]}}
            if "changes" in rule
            else rule
            for rule in job["rules"]
        ]
    return found


def test_gitlabs_schema_takes_the_file() -> None:
    command = ["check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(FILE)]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("event", "names"),
    [
        (merge_request("stacks/Pulumi.dev.yaml"), {"preview:dev"}),
        (merge_request("stacks/Pulumi.prod.yaml"), {"preview:prod"}),
        (merge_request("components/runners.py"), {"preview:dev", "preview:prod"}),
        (merge_request("pipeline/scripts/build.sh"), {"preview:dev", "preview:prod"}),
        (merge_request("requirements.txt"), {"preview:dev", "preview:prod"}),
        (merge_request("delivery/tools/SHA256SUMS"), {"preview:dev", "preview:prod"}),
        (merge_request("README.md", "tests/delivery/test_note.py", "stacks/Pulumi.sandbox.yaml"), set()),
    ],
)
def test_a_merge_request_previews_what_it_can_affect(event: Event, names: set[str]) -> None:
    event = Event(variables={**event.variables, "CI_DEFAULT_BRANCH": "main"}, changed=event.changed)
    assert set(selected(resolved(), event)) == {"check", "test", *names}


def test_the_default_branch_delivers_dev_by_itself_and_prod_by_hand() -> None:
    chosen = selected(resolved(), push("README.md", branch="main", CI_DEFAULT_BRANCH="main"))
    assert chosen == {
        "check": "on_success",
        "test": "on_success",
        "preview:dev": "on_success",
        "preview:prod": "on_success",
        "up:dev": "on_success",
        "up:prod": "manual",
    }


def test_a_schedule_looks_for_drift_and_delivers_nothing() -> None:
    event = started_by("schedule", branch="main")
    event = Event(variables={**event.variables, "CI_DEFAULT_BRANCH": "main"})
    assert set(selected(resolved(), event)) == {"drift:dev", "drift:prod"}


def test_updates_of_a_stack_never_overlap_and_follow_its_preview() -> None:
    found = resolved()
    for stack in ("dev", "prod"):
        job = found[f"up:{stack}"]
        assert job["resource_group"] == "$STACK", "two updates of one stack run at once"
        assert job["interruptible"] is False, "a new push ends an update in the middle"
        assert job["dependencies"] == [f"preview:{stack}"], "the plan of another environment is used"
        assert any("--plan plan.json" in line for line in job["script"])


def test_a_commit_cancels_no_pipeline_of_the_default_branch() -> None:
    """Such as one that builds the builder image, whose jobs the next commit's pipeline does not have."""
    rules = yaml.safe_load(FILE.read_text(encoding="utf-8"))["workflow"]["rules"]
    [default] = [rule for rule in rules if rule["if"] == "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"]
    assert default["auto_cancel"] == {"on_new_commit": "none"}


def test_no_artifact_and_no_cache_has_a_jobs_token() -> None:
    """Whoever reads it has the role. The runner takes `path/` for files, too."""
    for name, job in resolved().items():
        token = PurePosixPath(job.get("variables", {}).get("AWS_WEB_IDENTITY_TOKEN_FILE", "$CI_PROJECT_DIR/none"))
        inside = token.relative_to("$CI_PROJECT_DIR")
        caches = job.get("cache") or []
        kept = [path for each in [job.get("artifacts", {}), *caches] for path in each.get("paths", ())]
        for path in kept:
            pattern = str(PurePosixPath(path.replace("$ARCHITECTURE", "arm64")))
            assert not any(fnmatch(str(each), pattern) for each in (inside, *inside.parents)), f"{name} keeps {path}"


def test_nothing_but_counts_is_open_to_guests() -> None:
    for name in ("preview:dev", "preview:prod"):
        artifacts = resolved()[name]["artifacts"]
        assert artifacts["access"] == "developer"
        assert artifacts["reports"] == {"terraform": "counts.json"}


def test_every_job_runs_in_an_image_that_stays_the_same() -> None:
    for name, job in resolved().items():
        assert re.fullmatch(r"(python|moby/buildkit):\S+@sha256:[0-9a-f]{64}", job["image"]), (
            f"{name} could run in another image tomorrow, or in one whose entrypoint is no shell"
        )


def test_no_key_is_stored() -> None:
    for name, job in resolved().items():
        if name not in ("check", "test"):
            assert job["id_tokens"], f"{name} has no identity of its own"
            assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & set(job["variables"])


def test_only_updates_have_the_rights_to_change_anything() -> None:
    for name, job in resolved().items():
        used = {
            key: value for key, value in job.get("variables", {}).items() if key in ("AWS_ROLE_ARN", "GITLAB_TOKEN")
        }
        if name.startswith("up:"):
            assert used == {"AWS_ROLE_ARN": "$DEPLOY_ROLE_ARN", "GITLAB_TOKEN": "$DEPLOY_GITLAB_TOKEN"}
            assert [rule["if"].partition(" &&")[0] for rule in job["rules"]] == [
                "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
            ]
        elif name.startswith("builder:"):
            assert used == {"AWS_ROLE_ARN": "$BUILDER_ROLE_ARN"}
            for rule in (each for each in job["rules"] if each.get("when") != "never"):
                assert rule["if"].startswith("$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && ")
        elif name not in ("check", "test"):
            assert used == {"AWS_ROLE_ARN": "$PREVIEW_ROLE_ARN", "GITLAB_TOKEN": "$PREVIEW_GITLAB_TOKEN"}, (
                "a merge request could change what is deployed"
            )
        else:
            assert not used
            assert "id_tokens" not in job


def test_an_update_runs_nothing_from_a_cache() -> None:
    for stack in ("dev", "prod"):
        assert resolved()[f"up:{stack}"]["cache"] == [], (
            "a branch could leave a plugin there that runs as the deploy role"
        )


def test_no_stacks_file_holds_the_gitlab_token() -> None:
    for file in (ROOT / "stacks").glob("Pulumi.*.yaml"):
        assert "gitlab:token" not in file.read_text(), "previews would use it, and it takes precedence over theirs"


def test_every_requirement_has_a_hash() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        pinned = (ROOT / name).read_text().replace("\\\n", "").splitlines()
        found = [line for line in pinned if line and not line.lstrip().startswith("#")]
        assert found
        for line in found:
            assert re.match(r"[a-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), (
                "anybody who serves it could change it"
            )


@pytest.fixture
def checkout(tmp_path: Path, gitlab_ci_local: GitLabCiLocal, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout of this repository, with a `pulumi` that prints what `run` chooses."""
    tools = {"python3": PYTHON.replace("%s", sys.executable)}
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made = Checkout(tmp_path, gitlab_ci_local, monkeypatch, pipeline=FILE.read_text(encoding="utf-8"), tools=tools)
    for folder in ("images", "stacks"):
        (made.folder / folder).symlink_to(ROOT / folder)
    brought = made.folder / ".cache" / "tools" / "archives"  # as a cache does
    archives.write(brought, pulumi=PULUMI, aws=AWS)
    installer = made.folder / "delivery" / "tools"
    installer.mkdir(parents=True)
    (installer / "install.sh").symlink_to(ROOT / "delivery" / "tools" / "install.sh")
    (installer / "SHA256SUMS").write_text(archives.sums(brought.iterdir()))
    made.set(BUILDER="is there", DEPLOYED="")
    return made


def run(checkout: Checkout, job: str, preview: str = "empty", exit_code: int = 0, outputs: str = "{}") -> str:
    checkout.set(PREVIEW=str(DATA / f"{preview}.json"), PREVIEW_EXIT=str(exit_code), OUTPUTS=outputs)
    tokens = {"PREVIEW_GITLAB_TOKEN": "token-that-reads", "DEPLOY_GITLAB_TOKEN": "token-that-writes"}
    return checkout.job(job, **tokens)


def test_a_job_without_its_gitlab_token_says_where_to_read(checkout: Checkout) -> None:
    checkout.set(PREVIEW=str(DATA / "empty.json"), PREVIEW_EXIT="0", OUTPUTS="{}")
    with pytest.raises(AssertionError):
        checkout.job("preview:dev", DEPLOY_GITLAB_TOKEN="token-that-writes")
    assert not checkout.calls


def test_a_preview_leaves_note_counts_and_plan(checkout: Checkout) -> None:
    log = run(checkout, "preview:dev", "changed")
    assert "## Preview of `dev`: 3 to create" in log, "without a merge request nobody can read the preview"
    assert json.loads(checkout.text("counts.json")) == {"create": 5, "update": 11, "delete": 4}
    assert checkout.text("plan.json") == "the plan\n"
    assert checkout.calls == [
        "preview --stack dev --save-plan plan.json --json --show-sames "
        "as arn:aws:iam::111111111111:role/preview-buildyard-dev with a-token, in GitLab with token-that-reads"
    ]


@pytest.mark.parametrize(("preview", "exit_code"), [("failed-program", 255), ("failed-program", 0), ("empty", 255)])
def test_a_failed_preview_fails_its_job_after_the_note(checkout: Checkout, preview: str, exit_code: int) -> None:
    with pytest.raises(AssertionError):
        run(checkout, "preview:dev", preview, exit_code)
    assert "## Preview of `dev`" in checkout.text("note.md")


def test_an_update_does_what_was_planned_and_passes_its_outputs_on(checkout: Checkout) -> None:
    run(checkout, "preview:prod")
    outputs = {
        "registry-host": "h",
        "builder-image": "h/b:1",
        "push-role-arns": {"protected": "arn"},
        "repository-urls": {"a/b": "h/a/b"},
    }
    run(checkout, "up:prod", outputs=json.dumps(outputs))
    [update] = [call for call in checkout.calls if call.startswith("up ")]
    assert update.startswith("up --stack prod --plan plan.json --skip-preview --yes")
    assert "role/deploy-buildyard-prod" in update
    assert update.endswith("in GitLab with token-that-writes")
    assert checkout.text("outputs.env").splitlines() == [
        "BUILDYARD_BUILDER_IMAGE=h/b:1",
        "BUILDYARD_PUSH_ROLE_ARNS_PROTECTED=arn",
        "BUILDYARD_REGISTRY_HOST=h",
    ]
    assert json.loads(checkout.text("outputs.json"))["BUILDYARD_REPOSITORY_URLS_A_B"] == "h/a/b"


def test_an_update_without_a_plan_does_nothing(checkout: Checkout) -> None:
    with pytest.raises(AssertionError):
        run(checkout, "up:dev")
    assert not checkout.calls, "something is deployed that nobody has read"


def test_an_update_does_nothing_without_the_image_that_jobs_run_in(checkout: Checkout) -> None:
    run(checkout, "preview:dev")
    repository = resolved()["up:dev"]["variables"]["BUILDER_REPOSITORY"]
    checkout.set(BUILDER="", DEPLOYED=f"{repository}:1.0.0")
    with pytest.raises(AssertionError, match=rf"There is no \S+:{re.escape(BUILDER_VERSION)}, in which all jobs run"):
        run(checkout, "up:dev")
    assert not [call for call in checkout.calls if call.startswith("up ")], "every job of every project would fail"


def test_the_first_update_makes_what_builds_that_image(checkout: Checkout) -> None:
    run(checkout, "preview:dev")
    checkout.set(BUILDER="")
    outputs = {"registry-host": "h", "builder-image": "h/b:1", "push-role-arns": {"protected": "arn"}}
    run(checkout, "up:dev", outputs=json.dumps(outputs))
    assert [call for call in checkout.calls if call.startswith("up ")]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_builder_images_jobs_fit_the_stack(stack: str) -> None:
    settings, variables = config.read_file(stack), resolved()[f"up:{stack}"]["variables"]
    assert variables["BUILDER_REPOSITORY"].partition("/")[2] == settings.builder_repository
    for architecture in settings.architectures:
        tags = settings.runners.tags.named(settings.trust.runner_tags(Tier.PROTECTED, architecture))
        assert f"{variables['BUILDER_TAGS']}{architecture}" in tags, "no runner would take the job"
        assert f"{variables['BUILDER_TAGS']}protected" in tags


def test_drift_fails_its_job_and_says_what_drifted(checkout: Checkout) -> None:
    with pytest.raises(AssertionError):
        run(checkout, "drift:dev", "drift", exit_code=7)
    assert "`tagLists[2]`: `privileged` → none" in checkout.text("note.md")
