"""Jobs of runners. The sandbox runs none of them: a client reports that a runner took a job, and that it ended.

The reports are not part of GitLab's API, so their routes are under `/-/sandbox`; the lists are.
Source: https://docs.gitlab.com/api/runners/#list-all-jobs-processed-by-a-runner
"""

from flask import Blueprint, Response, jsonify, request

from sandbox.services.gitlab.errors import ApiError, bad_parameters
from sandbox.services.gitlab.paging import paged
from sandbox.services.gitlab.store import Store, next_id, now

API_STATUSES = ("running", "success", "failed", "canceled")


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

    @routes.post("/-/sandbox/runners/<int:runner_id>/jobs")
    def take(runner_id: int) -> tuple[Response, int]:
        """Let a runner take a job, unless it is paused."""
        with store.state.change() as state:
            runner = state.get("runners", {}).get(str(runner_id))
            if runner is None or runner["paused"]:
                raise ApiError(409, {"message": f"Runner {runner_id} takes no jobs."})
            job = {"id": next_id(state, "jobs"), "runner_id": runner_id, "status": "running", "created_at": now()}
            job["web_url"] = f"{store.base_url}/platform/images/-/jobs/{job['id']}"
            state.setdefault("jobs", {})[str(job["id"])] = job
        return jsonify(job), 201

    @routes.put("/-/sandbox/jobs/<int:job_id>")
    def end(job_id: int) -> Response:
        """End a job with the status in the query."""
        with store.state.change() as state:
            job = state["jobs"][str(job_id)]
            job["status"] = request.args.get("status", "success")
            return jsonify(job)

    return routes
