"""Tests on the sandbox: a merge request changes a stack's YAML, and its reviewer reads what would change."""

import copy
import json

import gitlab
import pytest

from delivery.__main__ import main
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
    assert "The node group <code>buildyard-sandbox-arm64</code> is replaced because" in html
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
