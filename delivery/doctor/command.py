"""`python -m delivery doctor`: asks, checks, and prints the report."""

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import gitlab
import requests

from delivery import cost, cost_note, prices
from delivery.doctor.build_jobs import Choice, choose
from delivery.doctor.builder import check_builder_image
from delivery.doctor.builds import Builds
from delivery.doctor.nodes import check_node_groups
from delivery.doctor.outputs import Deployed, Place
from delivery.doctor.questions import Answers, ask_everything
from delivery.doctor.report import Check, Finding, Report, Result, Section, failed, skipped
from delivery.doctor.runners import Runners
from delivery.doctor.stack import Stack
from delivery.doctor.terminal import clean, table
from stacks import config
from stacks.architecture import Architecture
from stacks.problems import SettingsError
from stacks.settings import Settings

_SECONDS = 30


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Check the stack; 0 if all is well, 1 if a check failed.

    Raises `StackError` if the stack cannot be checked at all, and `SettingsError` if there is no such image to build.
    """
    try:
        settings = config.read_file(options.stack)
    except SettingsError as error:
        return _finish(options, environment, _of_wrong_settings(options.stack, error))
    choices = _choices(options, settings)
    stack = Stack(name=options.stack)
    _say(f"Reading the outputs of the stack {options.stack} ...")
    deployed = Deployed.of(stack.outputs())
    _say("Asking AWS, Kubernetes and GitLab ...")
    answers = stack.ask(partial(ask_everything, options.stack, settings, deployed))
    after = _After(options=options, settings=settings, answers=answers, choices=choices)
    report = Report(
        stack=options.stack,
        deployed=deployed is not None,
        sections=(
            Section(title="Before a deployment", checks=answers.before),
            Section(title="After the deployment", checks=after.checks(deployed)),
        ),
        cost=_cost(options.stack, settings),
    )
    return _finish(options, environment, report)


def _cost(stack: str, settings: Settings) -> list[str]:
    """The cost of the stack, if its file names the region."""
    region = config.region(stack)
    return list(cost_note.of_stack(cost.of_settings(settings), region, prices.load())) if region else []


def _finish(options: argparse.Namespace, environment: Mapping[str, str], report: Report) -> int:
    """Print the report; its exit code."""
    if options.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        print(table(report, color=_is_colored(environment), width=shutil.get_terminal_size().columns), end="")
    return report.exit_code


def _of_wrong_settings(stack: str, error: SettingsError) -> Report:
    findings = tuple(
        Finding(message=f"{problem.path}: {problem.message}", hint=problem.hint) for problem in error.problems
    )
    check = Check(title="Settings", result=Result.FAILED, found=config.file_name(stack), findings=findings)
    return Report(stack=stack, deployed=False, sections=(Section(title="Before a deployment", checks=(check,)),))


def _choices(options: argparse.Namespace, settings: Settings) -> Mapping[Architecture, Choice]:
    if options.build is None:
        return {}
    return choose(settings, options.build or None, source=f"python -m delivery doctor --stack {options.stack}")


@dataclass(frozen=True, kw_only=True)
class _After:
    """The checks of what a deployment made."""

    options: argparse.Namespace
    settings: Settings
    answers: Answers
    choices: Mapping[Architecture, Choice]

    def checks(self, deployed: Deployed | None) -> list[Check]:
        """All of them. Before the first deployment, there is nothing to check."""
        if deployed is None:
            return [skipped("Runners, nodes, builder image", f"the stack {self.options.stack} is not deployed yet")]
        stack = self.options.stack
        nodes = check_node_groups(stack, self.settings.cluster.name, deployed, self.answers)
        image = check_builder_image(self.settings, deployed, self.answers.registry)
        return [*nodes, image, *self._of_gitlab(deployed, image_is_there=image.result is not Result.FAILED)]

    def _of_gitlab(self, deployed: Deployed, *, image_is_there: bool) -> list[Check]:
        token = self.answers.gitlab_token
        if not token:
            return [
                failed("Runners", "there is no token for GitLab", "Set GITLAB_TOKEN, or gitlab:token in the settings.")
            ]
        try:
            with gitlab.Gitlab(
                self.answers.gitlab_url,
                private_token=token,
                timeout=_SECONDS,
                retry_transient_errors=True,
                user_agent="buildyard",
            ) as client:
                runners = dict(Runners(stack=self.options.stack, settings=self.settings, client=client).check(deployed))
                unfit = {place for place, check in runners.items() if check.result is Result.FAILED}
                return [*runners.values(), *self._builds(client, deployed, unfit, image_is_there=image_is_there)]
        except gitlab.GitlabAuthenticationError:
            return [
                failed(
                    "Runners", "GitLab refuses the token: it has expired, or was revoked", "Make a new GITLAB_TOKEN."
                )
            ]
        except (gitlab.GitlabError, requests.RequestException) as error:
            reason = str(error).replace(token, "[secret]")
            return [failed("Runners", f"GitLab does not answer: {reason}", "Check the network to GitLab.")]

    def _builds(
        self, client: gitlab.Gitlab, deployed: Deployed, unfit: Collection[Place], *, image_is_there: bool
    ) -> list[Check]:
        if self.options.build is None:
            return [skipped("Test builds", "nobody asked for them: --build")]
        if not image_is_there:
            return [skipped("Test builds", "jobs cannot start without the builder image")]
        builds = Builds(
            stack=self.options.stack,
            settings=self.settings,
            client=client,
            choices=self.choices,
            timeout_minutes=self.options.timeout,
            say=_say,
        )
        with _ending_in_good_order():
            return builds.check(deployed, unfit)


def _is_colored(environment: Mapping[str, str]) -> bool:
    """Whether the table has colors: in a terminal, unless https://no-color.org is asked for."""
    return sys.stdout.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


@contextmanager
def _ending_in_good_order() -> Iterator[None]:
    """Let SIGTERM, with which CI cancels a job, end the command like an exception: what is temporary is removed."""
    previous = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _say(text: str) -> None:
    print(clean(text), file=sys.stderr)
