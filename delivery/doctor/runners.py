"""Whether GitLab's runners are there, not paused, and have managers that ask for jobs.

Source: https://docs.gitlab.com/api/runners/ and https://docs.gitlab.com/ci/runners/runners_scope/#runner-statuses
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import gitlab
import requests

from delivery.doctor.outputs import Deployed, Place, title_of
from delivery.doctor.report import Check, failed, noticed, passed
from stacks.settings import Settings
from stacks.trust import Tier
from stacks.versions import RUNNER_VERSION

_GOOD = "online"


@dataclass(frozen=True, kw_only=True)
class Runners:
    """The runners of a deployed stack."""

    stack: str
    settings: Settings
    client: gitlab.Gitlab
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)

    def check(self, deployed: Deployed) -> Iterator[tuple[Place, Check]]:
        """Check every runner. Raises python-gitlab's and requests' errors if GitLab refuses the token, or is down."""
        for place, runner in deployed.runners.items():
            yield place, self._check(place, runner)

    def _check(self, place: Place, runner: int) -> Check:
        title = title_of("Runner", place)
        try:
            record = self.client.runners.get(runner)
        except gitlab.GitlabGetError as error:
            return self._unreadable(title, runner, error)
        managers: Any = self.client.http_list(f"/runners/{runner}/managers", get_all=True)
        return self._judge(title, place, record.attributes, list(managers))

    def _unreadable(self, title: str, runner: int, error: gitlab.GitlabError) -> Check:
        match error.response_code:
            case requests.codes.not_found:
                return failed(
                    title,
                    f"GitLab has no runner {runner}: somebody deleted it",
                    f"Run `pulumi up -s {self.stack}`, which makes a new one.",
                )
            case requests.codes.forbidden:
                return failed(
                    title,
                    f"GitLab does not let this token read runner {runner}",
                    "Use a token of an Owner of the runners' group, or of a Maintainer of their project.",
                )
            case _:
                return failed(title, f"GitLab does not tell about runner {runner}: {error}", "Try again later.")

    def _judge(self, title: str, place: Place, runner: Any, managers: Sequence[Any]) -> Check:
        number = runner["id"]
        if runner.get("paused"):
            return failed(
                title,
                f"runner {number} is paused, so it takes no jobs",
                f"Run `pulumi up -s {self.stack}`, which resumes it. A deletion that was interrupted leaves a runner "
                "paused; or somebody paused it in GitLab.",
            )
        online = [each for each in managers if each.get("status") == _GOOD]
        if not online:
            last = max((each["contacted_at"] for each in managers if each.get("contacted_at")), default=None)
            return failed(
                title,
                f"no manager of runner {number} is online: the last contact was {self._ago(last)}"
                if last
                else f"no manager of runner {number} has contacted GitLab so far",
                f"Run `{self._kubectl(place[0], 'get pods')}`, then `logs` or `describe` for the manager's pod.",
            )
        versions = sorted({str(each.get("version")) for each in online})
        contact = max((each["contacted_at"] for each in online if each.get("contacted_at")), default=None)
        found = f"runner {number} is online, version {' and '.join(versions)}" + (
            f", last contact {self._ago(contact)}" if contact else ""
        )
        if versions != [RUNNER_VERSION]:
            return noticed(
                title,
                f"the stack is for version {RUNNER_VERSION}",
                f"If no update is running, run `pulumi up -s {self.stack}`.",
                found=found,
            )
        return passed(title, found)

    def _kubectl(self, tier: Tier, command: str) -> str:
        return f"kubectl -n {self.settings.runners.namespace_of(self.stack, tier)} {command}"

    def _ago(self, moment: str) -> str:
        """The time since a moment in GitLab's notation, such as `5 minutes ago`."""
        try:
            seconds = (self.now() - datetime.fromisoformat(moment.replace("Z", "+00:00"))).total_seconds()
        except (ValueError, TypeError):  # no date, or one without a time zone
            return moment
        for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
            if seconds >= size:
                count = int(seconds // size)
                return f"{count} {unit}{'s' * (count > 1)} ago"
        return "less than a minute ago"
