"""Pipelines that somebody starts through the API, and their jobs.

A job waits until a client under `/-/sandbox` says that a runner took it (`jobs`). Only pipelines without `include`, and
jobs without conditions and `needs` can be started: the sandbox's GitLab evaluates no rules.

Source: https://docs.gitlab.com/api/pipelines/ and https://docs.gitlab.com/api/jobs/
"""

from collections.abc import Sequence

from flask import Blueprint, Response, jsonify, request

from sandbox.services.gitlab.ci_file import CiFileError, CiJob, read_jobs
from sandbox.services.gitlab.errors import invalid, not_found
from sandbox.services.gitlab.paging import paged
from sandbox.services.gitlab.parameters import Parameters
from sandbox.services.gitlab.protection import protects
from sandbox.services.gitlab.store import Record, Store, next_id, now
from sandbox.services.gitlab.variables import values_for

CI_FILE = ".gitlab-ci.yml"
_OPEN = ("pending", "running")


def blueprint(store: Store) -> Blueprint:
    routes = Blueprint("pipelines", __name__)
    of_project = "/projects/<encoded:project_ref>"

    @routes.post(f"{of_project}/pipeline")
    def create(project_ref: str) -> tuple[Response, int]:
        project = store.project(project_ref)
        parameters = Parameters(request)
        ref = parameters.text("ref", required=True, allow_blank=False)
        parameters.check()
        jobs = _jobs(store, project, ref)
        protected = protects(store, project, ref)
        with store.state.change() as state:
            pipeline = {
                "id": next_id(state, "pipelines"),
                "project_id": project["id"],
                "ref": ref,
                "sha": store.repository(project).commit_id(ref),
                "source": "api",
                "protected": protected,
                "created_at": now(),
            }
            state.setdefault("pipelines", {})[str(pipeline["id"])] = pipeline
            for each in jobs:
                job = {
                    "id": next_id(state, "jobs"),
                    "pipeline_id": pipeline["id"],
                    "name": each.name,
                    "stage": each.stage,
                    "tag_list": list(each.tags),
                    "status": "pending",
                    "runner_id": None,
                    "created_at": now(),
                }
                job["web_url"] = f"{store.base_url}/{project['path_with_namespace']}/-/jobs/{job['id']}"
                state.setdefault("jobs", {})[str(job["id"])] = job
            return jsonify(_entity(store, state, project, pipeline)), 201

    @routes.get(f"{of_project}/pipelines/<int:pipeline_id>")
    def show(project_ref: str, pipeline_id: int) -> Response:
        project = store.project(project_ref)
        with store.state.read() as state:
            return jsonify(_entity(store, state, project, _pipeline(state, project, pipeline_id)))

    @routes.get(f"{of_project}/pipelines/<int:pipeline_id>/jobs")
    def list_jobs(project_ref: str, pipeline_id: int) -> Response:
        project = store.project(project_ref)
        with store.state.read() as state:
            jobs = jobs_of(state, _pipeline(state, project, pipeline_id))
            return paged([_job_entity(state, job) for job in jobs])

    @routes.post(f"{of_project}/pipelines/<int:pipeline_id>/cancel")
    def cancel(project_ref: str, pipeline_id: int) -> Response:
        project = store.project(project_ref)
        with store.state.change() as state:
            pipeline = _pipeline(state, project, pipeline_id)
            for job in jobs_of(state, pipeline):
                if job["status"] in _OPEN:
                    job["status"] = "canceled"
            return jsonify(_entity(store, state, project, pipeline))

    @routes.get(f"{of_project}/jobs/<int:job_id>")
    def show_job(project_ref: str, job_id: int) -> Response:
        project = store.project(project_ref)
        with store.state.read() as state:
            return jsonify(_job_entity(state, _job(state, project, job_id)))

    @routes.get(f"{of_project}/jobs/<int:job_id>/trace")
    def show_log(project_ref: str, job_id: int) -> Response:
        project = store.project(project_ref)
        with store.state.read() as state:
            return Response(_job(state, project, job_id).get("log", ""), mimetype="text/plain")

    return routes


def jobs_of(state: Record, pipeline: Record) -> list[Record]:
    """The jobs of a pipeline, the newest first, as GitLab lists them."""
    jobs = (job for job in state.get("jobs", {}).values() if job.get("pipeline_id") == pipeline["id"])
    return sorted(jobs, key=lambda job: -int(job["id"]))


def _jobs(store: Store, project: Record, ref: str) -> Sequence[CiJob]:
    """The jobs of the pipeline of a branch. Raises GitLab's 400."""
    repository = store.repository(project)
    commit = repository.branches().get(ref)
    if commit is None:
        raise invalid({"base": ["Reference not found"]})
    file = repository.blob(commit, project.get("ci_config_path") or CI_FILE)
    if file is None:
        raise invalid({"base": ["Missing CI config file"]})
    with store.state.read() as state:
        variables = values_for(state, project, protected=protects(store, project, ref))
    try:
        jobs = read_jobs(file.content.decode(errors="replace"), variables)
    except CiFileError as error:
        raise invalid({"base": [str(error)]}) from error
    if not jobs:
        raise invalid(
            {
                "base": [
                    "Pipeline will not run for the selected trigger. The rules configuration prevented any "
                    "jobs from being added to the pipeline."
                ]
            }
        )
    return jobs


def _pipeline(state: Record, project: Record, pipeline_id: int) -> Record:
    pipeline: Record | None = state.get("pipelines", {}).get(str(pipeline_id))
    if pipeline is None or pipeline["project_id"] != project["id"]:
        raise not_found("Not found")
    return pipeline


def _job(state: Record, project: Record, job_id: int) -> Record:
    job: Record | None = state.get("jobs", {}).get(str(job_id))
    if job is None or "pipeline_id" not in job:
        raise not_found("Not found")
    _pipeline(state, project, job["pipeline_id"])
    return job


def _entity(store: Store, state: Record, project: Record, pipeline: Record) -> Record:
    return {
        **{key: value for key, value in pipeline.items() if key != "protected"},
        "status": _status([job["status"] for job in jobs_of(state, pipeline)]),
        "web_url": f"{store.base_url}/{project['path_with_namespace']}/-/pipelines/{pipeline['id']}",
    }


def _status(jobs: Sequence[str]) -> str:
    """The status of a pipeline that has jobs with these."""
    for status in ("running", "pending", "failed", "canceled"):
        if status in jobs:
            return status
    return "success"


def _job_entity(state: Record, job: Record) -> Record:
    runner = state.get("runners", {}).get(str(job["runner_id"]))
    return {
        **{key: value for key, value in job.items() if key not in ("pipeline_id", "runner_id", "log")},
        "allow_failure": False,
        "duration": job.get("duration"),
        "pipeline": {"id": job["pipeline_id"]},
        "ref": state["pipelines"][str(job["pipeline_id"])]["ref"],
        "runner": {"id": runner["id"], "description": runner["description"]} if runner else None,
    }
