"""The settings that are proposed for repositories: one stack for each top-level group of GitLab."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stacks import parsing
from stacks.documents import Location
from stacks.problems import SettingsError
from stacks.projects import WHOLE_PIPELINE, common_group
from stacks.propose import builds, images, keys, pipelines, relations
from stacks.propose.checkout import Checkout
from stacks.propose.commands import Build
from stacks.propose.images import Draft
from stacks.propose.pipelines import Job
from stacks.propose.text import plain
from stacks.runners import Ceilings, Runners

PUBLISHED_BESIDE = ".gitlab/buildyard.yml"
"""Where the pipeline of a project that has one is published, so that both run side by side."""
UNKNOWN_GROUP = "CHANGE-ME"
_ROUNDS = 30
_SEGMENT = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass
class Proposed:
    """A project as it is proposed. `settings` has all keys but the images."""

    settings: dict[str, Any]
    drafts: list[Draft]
    decisions: list[str]
    notes: list[str]

    def raw(self) -> dict[str, Any]:
        """The project in the form of a stack's file."""
        return {**self.settings, "images": [image(draft) for draft in self.drafts]}


@dataclass
class Stack:
    """The projects of one top-level group, and the settings that they need besides."""

    projects: list[Proposed]
    runners: dict[str, Any] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)

    def raw(self) -> dict[str, Any]:
        """The settings with a stand-in for the cluster, which no repository tells."""
        runners = {"runners": self.runners} if self.runners else {}
        return {"cluster": {"name": "name"}, **runners, "projects": [project.raw() for project in self.projects]}


def image(draft: Draft) -> dict[str, Any]:
    """An image in the form of a stack's file."""
    file = posixpath.relpath(draft.dockerfile.path, draft.context)
    dockerfile = {} if file == "Dockerfile" else {"dockerfile": file}
    return {"name": draft.name, "context": draft.context, **dockerfile, **draft.settings}


def propose(checkouts: Sequence[Checkout], group: str | None = None) -> list[Stack]:
    """The stacks for these repositories. Every one passes the checks of our own settings.

    `group` is the GitLab group of repositories whose remote does not tell their project.
    """
    proposed: dict[str, Proposed] = {}
    for checkout in checkouts:
        project = _project(checkout, group)
        path = project.settings["path"]
        if path in proposed:
            proposed[path].notes.append(f"{checkout.root} is the same project, and is left out")
        elif project.drafts:
            proposed[path] = project
    stacks: dict[str, Stack] = {}
    for path, project in proposed.items():
        stacks.setdefault(path.split("/")[0] if "/" in path else path, Stack(projects=[])).projects.append(project)
    for stack in stacks.values():
        _runners(stack)
        _checked(stack)
    return [stack for stack in stacks.values() if stack.projects]


def _project(checkout: Checkout, group: str | None) -> Proposed:
    known = checkout.gitlab_path
    segments = [_SEGMENT.sub("-", part).strip("-.") for part in (known or checkout.name).split("/")]
    name = segments[-1] or "project"
    path = "/".join(part for part in segments if part) if known else f"{group or UNKNOWN_GROUP}/{name}"
    path = path or f"{group or UNKNOWN_GROUP}/{name}"
    predefined = {
        "CI_PROJECT_DIR": ".",
        "CI_PROJECT_NAME": name,
        "CI_PROJECT_PATH": path,
        "CI_PROJECT_NAMESPACE": path.rpartition("/")[0],
        "CI_REGISTRY_IMAGE": f"${{CI_REGISTRY}}/{path.lower()}",
    }
    jobs = pipelines.jobs(checkout, predefined)
    found = builds.find(checkout, jobs)
    drafts = images.find(checkout, found.builds, name, complete=not found.notes)
    relations.connect(drafts, predefined)
    for draft in drafts:
        keys.fill(draft, alone=len(drafts) == 1)
    _same_architectures(drafts)
    proposed = Proposed(settings={"path": path}, drafts=drafts, decisions=[], notes=[*checkout.notes, *found.notes])
    if known is None:
        proposed.decisions.append("Git's remote does not tell the project's path in GitLab")
    if checkout.default_branch not in (None, "main"):
        proposed.settings["default-branch"] = checkout.default_branch
    if found.time_zone and found.time_zone != "UTC":
        proposed.settings["time-zone"] = found.time_zone
    if WHOLE_PIPELINE in checkout.files:
        _beside(proposed, jobs, found.builds)
    if drafts and not any("architectures" in draft.settings or _has_both(draft) for draft in drafts):
        proposed.decisions.append(
            "no job names an architecture: each image is built for all that the stack has nodes for"
        )
    return proposed


def _has_both(draft: Draft) -> bool:
    return len({found for build in draft.builds for found in builds.platforms_of(build)}) > 1


def _beside(proposed: Proposed, jobs: Sequence[Job], found: Sequence[Build]) -> None:
    """Publish the pipeline beside the hand-written one, whose jobs must have other names."""
    proposed.settings["pipeline-path"] = PUBLISHED_BESIDE
    proposed.decisions.append(f"add include: [{{local: {PUBLISHED_BESIDE}}}] to {WHOLE_PIPELINE} (docs/migration.md)")
    stages = {build.job.stage for build in found}
    if len(stages) == 1 and stages != {"build"}:
        proposed.settings["stage"] = stages.pop()
    elif len(stages) > 1:
        proposed.decisions.append(
            f"the builds are in several stages, {', '.join(sorted(map(plain, stages)))}: choose one"
        )
    ours = {"container-get-tag", "container-check-latest"}
    for draft in proposed.drafts:
        ours |= {f"build-{draft.name}:{end}" for end in ("arm64", "amd64", "manifest", "manifest:manual")}
    if same := sorted({job.name for job in jobs} & ours):
        proposed.decisions.append(
            f"rename the hand-written jobs {', '.join(same)} first: GitLab merges jobs of the same name into one"
        )


def _same_architectures(drafts: Sequence[Draft]) -> None:
    """Build an image for no architecture that its dependencies are not built for."""
    named = {draft.name: draft for draft in drafts}
    for _ in drafts:
        changed = False
        for draft in drafts:
            for name in draft.settings.get("depends-on", ()):
                available = named[name].settings.get("architectures")
                own = draft.settings.get("architectures")
                if available and (own is None or not set(own) <= set(available)):
                    draft.settings["architectures"] = available
                    draft.decisions.append(f"it is built for {', '.join(available)} only, as {name} is")
                    changed = True
        if not changed:
            return


def _runners(stack: Stack) -> None:
    paths = [project.settings["path"] for project in stack.projects]
    groups = {path.rpartition("/")[0] for path in paths}
    if groups == {""}:
        stack.runners["project"] = paths[0]
    elif len(groups) > 1:
        stack.runners["group"] = common_group(paths)
        stack.decisions.append("every project of this group and its subgroups can use the runners")
    drafts = [draft for project in stack.projects for draft in project.drafts]
    ceilings = {name.replace("_", "-"): ceiling for name, ceiling in Ceilings()}
    larger = {key: amount for key, amount in keys.largest(drafts).items() if amount > ceilings[key]}
    if larger:
        stack.runners["ceilings"] = {key: str(amount) for key, amount in larger.items()}
        stack.decisions.append("jobs ask for more than the default ceilings: nodes.ARCHITECTURE must have as much")
    longest = max((draft.settings.get("timeout-minutes", 0) for draft in drafts), default=0)
    if longest > Runners().maximum_timeout_minutes:
        stack.runners["maximum-timeout-minutes"] = longest


def _checked(stack: Stack) -> None:
    """Leave out what our own settings refuse, and say so where it was."""
    for left in reversed(range(_ROUNDS)):
        try:
            parsing.parse(stack.raw(), source="the proposal")
        except SettingsError as error:
            if not left:
                raise
            located = dict(_locations(stack.raw(), ()))
            for problem in error.problems:
                location = next((located[path] for path in _prefixes(problem.path) if path in located), ())
                _leave_out(stack, location, f"{problem.message}. {problem.hint}")
            stack.projects = [project for project in stack.projects if project.drafts]
            if not stack.projects:
                return
        else:
            return


def _locations(value: Any, location: Location) -> list[tuple[str, Location]]:
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    found = [(parsing.path(location), location)] if location else []
    for key, item in items:
        found += _locations(item, (*location, key))
    return found


def _prefixes(path: str) -> list[str]:
    """The path and those around it, the longest first."""
    return [path[:end] for end in range(len(path), 0, -1)]


def _leave_out(stack: Stack, location: Location, why: str) -> None:
    match location:
        case ("projects", int(project), "images", int(number), str(key), *inner) if _has(stack, project, number):
            draft = stack.projects[project].drafts[number]
            if key in draft.settings:
                name = ".".join([key, *map(str, inner)])
                draft.decisions.append(f"{plain(name)} is left out: {plain(why)}")
                _remove(draft.settings, [key, *inner])
            else:
                stack.projects[project].notes.append(f"{draft.dockerfile.path} is left out: {key} {plain(why)}")
                draft.name = ""
        case ("projects", int(project), str(key), *_) if key not in ("path", "images"):
            stack.projects[project].decisions.append(f"{key} is left out: {plain(why)}")
            stack.projects[project].settings.pop(key, None)
        case ("runners", str(key), *_):
            stack.decisions.append(f"runners.{key} is left out: {plain(why)}")
            stack.runners.pop(key, None)
        case ("projects", int(project), *_):
            stack.projects[project].settings["path"] = f"{UNKNOWN_GROUP}/project-{project + 1}"
            stack.projects[project].decisions.append(f"the project's path is not usable: {plain(why)}")
    for each in stack.projects:
        each.drafts = [draft for draft in each.drafts if draft.name]


def _has(stack: Stack, project: int, number: int) -> bool:
    return project < len(stack.projects) and number < len(stack.projects[project].drafts)


def _remove(settings: dict[str, Any], location: Sequence[Any]) -> None:
    """Remove a value, and what is empty without it."""
    *above, last = location
    parent: Any = settings
    for part in above:
        try:
            parent = parent[part]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(parent, dict):
        parent.pop(last, None)
    elif isinstance(parent, list) and isinstance(last, int) and last < len(parent):
        parent.pop(last)
    if above and not parent:
        _remove(settings, above)
