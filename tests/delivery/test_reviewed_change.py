"""Tests on the sandbox: a merge request changes a stack's YAML, and its reviewer reads what would change."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import gitlab
import pytest

from delivery.__main__ import main
from delivery.note import note
from delivery.preview import parse
from sandbox.scratch import ScratchProject
from sandbox.services.gitlab import access_token
from tests.delivery.previews import read


def open_merge_request(url: str, token: str) -> dict[str, str]:
    """A merge request in the sandbox's GitLab, as the variables of a job in its pipeline."""
    project = gitlab.Gitlab(url, private_token=token).projects.get("platform/images")
    commit = {
        "file_path": "a",
        "content": "a",
        "branch": "change",
        "start_branch": "master",
        "commit_message": "Change",
    }
    project.files.create(commit)
    made = project.mergerequests.create({"source_branch": "change", "target_branch": "master", "title": "Change"})
    return {
        "CI_API_V4_URL": f"{url}/api/v4",
        "CI_PROJECT_ID": str(project.id),
        "CI_MERGE_REQUEST_IID": str(made.iid),
        "CI_COMMIT_SHORT_SHA": "0ff1ce5",
        "CI_JOB_URL": f"{url}/platform/images/-/jobs/1",
        "PREVIEW_NOTE_TOKEN": token,
    }


def test_a_reviewer_reads_what_an_edit_would_do(deployed: ScratchProject, capsys: pytest.CaptureFixture[str]) -> None:
    url, token = deployed.endpoints()["gitlab"], access_token(deployed.data)
    job = open_merge_request(url, token)

    def push_edit() -> list[str]:
        """Preview the stack as it is now, and return the merge request's notes."""
        preview = deployed.data / "preview.json"
        preview.write_text(deployed.sandbox("preview", "--json").stdout)
        assert main(["preview-report", "--stack", "sandbox", "--preview", str(preview), "--post"], job) == 0
        merge_request = gitlab.Gitlab(url, private_token=token).projects.get("platform/images").mergerequests.get(1)
        return [str(note.body) for note in merge_request.notes.list(get_all=True)]

    before = deployed.read_config()
    config = copy.deepcopy(before)
    images = config["buildyard:projects"][0]["images"]
    images[:] = [image for image in images if image["name"] != "web"]
    config["buildyard:registry"]["delete-images"].remove("platform/images/web")
    config["buildyard:nodes"]["arm64"]["instance-types"] = ["m8g.4xlarge"]
    deployed.write_config(config)

    [note] = push_edit()
    html = read(note)
    repository = (
        "The repository <code>platform/images/web</code> is deleted. <strong>All images in it are lost</strong>"
    )
    assert repository in html
    for noun in ("node group", "runner"):
        names = "<code>buildyard-sandbox-arm64</code>, <code>buildyard-sandbox-unprotected-arm64</code>"
        assert f"The {noun}s {names} are replaced because the instance types change." in html
    assert "maintenanceNote" not in html, "the note shows how the program forces a replacement, instead of its cause"
    assert "\n-build-web:arm64:\n" in html, "the reviewer does not see which jobs go"
    assert "<code>m7g.4xlarge</code> → <code>m8g.4xlarge</code>" in html

    images.append({"name": "web", "context": "images/web", "depends-on": ["base"]})
    config["buildyard:registry"]["delete-images"].append("platform/images/web")
    config["buildyard:nodes"]["arm64"]["instance-types"] = ["m7g.4xlarge"]
    deployed.write_config(config)
    [note] = push_edit()
    deployed.write_config(before)
    assert "All images in it are lost" not in note, "the note still shows a change that the last push took back"
    assert token not in json.dumps(capsys.readouterr())


def what_happens_to_jobs(change: str) -> tuple[str, str]:
    """The columns of the table in `docs/operations.md` for a change: in place or not, and what happens to jobs."""
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    rows = [re.split(r" *\| *", line.strip("| \n")) for line in text.splitlines() if line.startswith("|")]
    [(_, in_place, jobs)] = [row for row in rows if len(row) == 3 and change in row[0].split(", ")]
    return in_place, jobs


def test_the_note_and_the_operations_guide_agree_on_another_namespace(deployed: ScratchProject) -> None:
    def move(config: dict[str, Any]) -> None:
        config["buildyard:runners"]["namespace"] = "elsewhere"

    with deployed.edited(move):
        text = note("sandbox", parse(deployed.sandbox("preview", "--json").stdout))
    in_place, jobs = what_happens_to_jobs("namespaces")
    assert in_place == "no"
    assert "The old runners are paused, their jobs end, then all that is old is deleted" in jobs
    said = {line.split("`")[0]: line for line in text.splitlines() if line.startswith("- The ")}
    for noun in ("runners", "namespaces", "runner managers"):
        line = said[f"- The {noun} "]
        assert re.search("are replaced because the name(space)? changes", line)
        assert "The update first pauses the runner and waits for its jobs" in line
    assert "cut off" not in text
    assert "All that is in it is deleted" not in text
