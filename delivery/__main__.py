"""`python -m delivery`: the commands that this repository's pipeline runs between `pulumi` and GitLab."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from delivery.merge_request import PostError, from_variables, post
from delivery.note import Origin, marker, note
from delivery.outputs import OutputsError, as_json, dotenv, gitlab_variables, only, variables
from delivery.preview import PreviewError, parse
from delivery.widget import widget
from stacks import config
from stacks.problems import SettingsError

FAILED_PREVIEW = 1
MISUSE = 2


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command and return its exit code: 0, or one that stops the job, after a message that says why."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options, environment))
    except (PreviewError, OutputsError, PostError, OSError) as error:
        print(f"python -m delivery {options.command}: {error}", file=sys.stderr)
        return MISUSE


def _preview_report(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    preview = parse(options.preview.read_text(encoding="utf-8", errors="replace"))
    text = note(options.stack, preview, _origin(environment), region=_region(options.stack))
    if options.note:
        options.note.write_text(text, encoding="utf-8")
    if options.widget:
        # The counts of an incomplete preview would look like a small change.
        options.widget.unlink(missing_ok=True)
        if not preview.failures:
            options.widget.write_text(json.dumps(widget(preview)) + "\n", encoding="utf-8")
    if options.post:
        print(f"The preview is in {post(from_variables(environment), marker(options.stack), text)}")
    for failure in preview.failures:
        print(f"The preview of {options.stack} failed: {failure}", file=sys.stderr)
    return FAILED_PREVIEW if preview.failures else 0


def _outputs(options: argparse.Namespace, _environment: Mapping[str, str]) -> int:
    found = only(variables(_load(options.outputs), _load(options.revealed) if options.revealed else None), options.only)
    if options.format == "gitlab-variables":
        if not options.file and any(variable.secret for variable in found):
            raise OutputsError("Some of the variables are secret: write them to a --file instead of printing them.")
        text = gitlab_variables(found, options.stack)
    else:
        text = dotenv(found) if options.format == "dotenv" else as_json(found)
    if options.file:
        _write_private(options.file, text)
    else:
        print(text, end="")
    return 0


def _origin(environment: Mapping[str, str]) -> Origin | None:
    commit, job_url = environment.get("CI_COMMIT_SHORT_SHA"), environment.get("CI_JOB_URL")
    return Origin(commit=commit, job_url=job_url) if commit and job_url else None


def _region(stack: str) -> str | None:
    """The stack's AWS region; None if its file does not tell, which the preview says better."""
    try:
        return config.region(stack)
    except SettingsError:
        return None


def _load(path: Path) -> dict[str, Any]:
    try:
        outputs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        outputs = None
    if not isinstance(outputs, dict):
        raise OutputsError(f"{path} is not what `pulumi stack output --json` prints.")
    return outputs


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m delivery", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    report = commands.add_parser("preview-report", help="show a merge request's reviewers what would change")
    report.set_defaults(run=_preview_report)
    report.add_argument("--stack", required=True)
    report.add_argument("--preview", required=True, type=Path, help="the output of `pulumi preview --json`")
    report.add_argument("--note", type=Path, help="write the note here, in Markdown")
    report.add_argument("--widget", type=Path, help="write the counts for artifacts:reports:terraform here")
    report.add_argument("--post", action="store_true", help="create or update the stack's note in the merge request")

    outputs = commands.add_parser("outputs", help="pass a stack's outputs on to other pipelines")
    outputs.set_defaults(run=_outputs)
    outputs.add_argument("--stack", required=True)
    outputs.add_argument("--outputs", required=True, type=Path, help="the output of `pulumi stack output --json`")
    outputs.add_argument("--revealed", type=Path, help="the same with --show-secrets, for gitlab-variables")
    outputs.add_argument("--format", required=True, choices=["dotenv", "json", "gitlab-variables"])
    outputs.add_argument(
        "--only", action="append", default=[], metavar="PATTERN", help="only these variables; may be repeated"
    )
    outputs.add_argument("--file", type=Path, help="write to this file, which only its owner may read")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
