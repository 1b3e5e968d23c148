"""The events that start a pipeline in GitLab, and the variables that its jobs and rules then see.

Source: https://docs.gitlab.com/ci/variables/predefined_variables/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Trigger(str, Enum):
    """The pipeline sources that the published pipeline distinguishes."""

    PUSH = "push"
    MERGE_REQUEST = "merge-request"
    TAG = "tag"
    SCHEDULE = "schedule"
    WEB = "web"
    API = "api"

    def __str__(self) -> str:
        return self.value


_SOURCES = {Trigger.MERGE_REQUEST: "merge_request_event", Trigger.TAG: "push"}
"""GitLab's names of sources, where they differ."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """A trigger on a branch or, for `TAG`, on a Git tag, and the variables of whoever starts the pipeline."""

    trigger: Trigger
    ref: str
    chosen: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def on_schedule(cls, branch: str) -> "Event":
        return cls(trigger=Trigger.SCHEDULE, ref=branch)

    def variables(self, default_branch: str, project_id: int) -> Mapping[str, str]:
        """The predefined variables that depend on the event; `CI_COMMIT_BRANCH` is missing where GitLab has none."""
        variables = {
            "CI_PIPELINE_SOURCE": _SOURCES.get(self.trigger, str(self.trigger)),
            "CI_COMMIT_REF_NAME": self.ref,
            **self.chosen,
        }
        match self.trigger:
            case Trigger.TAG:
                return {**variables, "CI_COMMIT_TAG": self.ref}
            case Trigger.MERGE_REQUEST:
                return {
                    **variables,
                    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": self.ref,
                    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": str(project_id),
                    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": default_branch,
                }
            case _:
                return {**variables, "CI_COMMIT_BRANCH": self.ref}
