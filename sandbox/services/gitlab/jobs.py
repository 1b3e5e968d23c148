"""Jobs of runners. GitLab runs none of them: a client reports that a runner took a job, and that it ended.

The reports are not part of GitLab's API, so their routes are under `/-/sandbox`; the lists are. The client is a test,
or `python -m sandbox runner`.
Source: https://docs.gitlab.com/api/runners/#list-all-jobs-processed-by-a-runner
"""

from flask import Blueprint, Response, jsonify, request

from sandbox.builds.selection import GitLabRunner
from sandbox.services.gitlab.errors import ApiError, bad_parameters
from sandbox.services.gitlab.paging import paged
from sandbox.services.gitlab.store import Record, Store, next_id, now

API_STATUSES = ("running", "success", "failed", "canceling", "canceled")


def blueprint(store: Store) -> Blueprint:
    routes = Blueprint("jobs", __name__)

    @routes.get("/api/v4/runners/<int:runner_id>/jobs")
    def list_jobs(runner_id: int) -> Response:
        status = request.args.get("status")
        if status not in (None, *API_STATUSES):
            raise bad_parameters(["status does not have a valid value"])
        with store.state.read() as state:
            if str(runner_id) not in state.get("runners", {}):
                raise ApiError(404, {"message": "404 Not found"})
            jobs = [job for job in state.get("jobs", {}).values() if job["runner_id"] == runner_id]
            return paged([job for job in jobs if status in (None, job["status"])])

    @routes.get("/-/sandbox/jobs")
    def list_waiting() -> Response:
        """The jobs of pipelines that no runner has taken, each with what its runner must know of the pipeline."""
        with store.state.read() as state:
            return jsonify(
                [_waiting(state, job) for job in state.get("jobs", {}).values() if job["status"] == "pending"]
            )

    @routes.post("/-/sandbox/runners/<int:runner_id>/jobs")
    def take(runner_id: int) -> tuple[Response, int]:
        """Let a runner take the waiting job in the query, or a new one, unless it is paused."""
        wanted = request.args.get("job")
        with store.state.change() as state:
            runner = state.get("runners", {}).get(str(runner_id))
            if runner is None or runner["paused"]:
                raise ApiError(409, {"message": f"Runner {runner_id} takes no jobs."})
            if wanted is not None:
                job = state.get("jobs", {}).get(wanted)
                if job is None or job["status"] != "pending" or not _takes(runner, _waiting(state, job)):
                    raise ApiError(409, {"message": f"Runner {runner_id} does not take job {wanted}."})
                job.update(runner_id=runner_id, status="running", started_at=now())
                return jsonify(job), 201
            job = {"id": next_id(state, "jobs"), "runner_id": runner_id, "status": "running", "created_at": now()}
            job["web_url"] = f"{store.base_url}/platform/images/-/jobs/{job['id']}"
            state.setdefault("jobs", {})[str(job["id"])] = job
        return jsonify(job), 201

    @routes.put("/-/sandbox/jobs/<int:job_id>")
    def end(job_id: int) -> Response:
        """End a job with the status in the query, and with the log in the body."""
        with store.state.change() as state:
            job = state["jobs"][str(job_id)]
            job.update(status=request.args.get("status", "success"), finished_at=now())
            if log := request.get_data().decode(errors="replace"):
                job["log"] = log
            if duration := request.args.get("duration", type=float):
                job["duration"] = duration
            if job["status"] == "failed":
                job["failure_reason"] = request.args.get("reason", "script_failure")
            return jsonify(job)

    return routes


def _waiting(state: Record, job: Record) -> Record:
    pipeline = state["pipelines"][str(job["pipeline_id"])]
    project = state["projects"][str(pipeline["project_id"])]
    return {
        **job,
        "ref": pipeline["ref"],
        "protected": pipeline["protected"],
        "project": project["path_with_namespace"],
    }


def _takes(runner: Record, job: Record) -> bool:
    """Whether a runner runs a job, by its tags and by whether the job's ref is protected."""
    known = GitLabRunner(
        name=runner["description"],
        tags=frozenset(runner["tag_list"]),
        only_protected=runner["access_level"] == "ref_protected",
        untagged=runner["run_untagged"],
        paused=runner["paused"],
    )
    return known.takes(job["tag_list"], protected=job["protected"])
