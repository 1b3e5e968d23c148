"""Which image is built on which: `FROM` and `COPY --from`, compared with the names that builds push to."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from stacks.propose.dockerfiles import Base
from stacks.propose.images import Draft, by_repository
from stacks.propose.text import expand, is_known, plain, repository

_OFFICIAL = ("library/", "docker.io/library/")
"""Images of others that have common names, such as `docker.io/library/python`."""


def connect(drafts: Sequence[Draft], predefined: Mapping[str, str]) -> None:
    """Add `depends-on` to each image, and what its Dockerfile must say for that."""
    pushed, named = by_repository(drafts), {draft.name: draft for draft in drafts}
    edges: dict[str, list[str]] = {}
    for draft in drafts:
        for base in draft.dockerfile.bases:
            reference = expand(base.reference, predefined)
            found = pushed.get(repository(reference))
            sure = found is not None
            if found is None and "/" in reference and not reference.startswith(_OFFICIAL):
                found = named.get(repository(reference).rpartition("/")[2])
            if found is None or found is draft:
                _foreign(draft, base, reference)
                continue
            if found.name not in edges.setdefault(draft.name, []):
                edges[draft.name].append(found.name)
            _edit(draft, base, found.name, sure)
    _without_cycles(named, edges)
    for name, needed in edges.items():
        if needed:
            named[name].settings["depends-on"] = needed


def _edit(draft: Draft, base: Base, name: str, sure: bool) -> None:
    """Make the Dockerfile's reference the dependency's name: by an argument where it has one."""
    likely = "" if sure else f"{plain(repository(base.reference))} is probably {name}; if so, "
    if base.argument in draft.dockerfile.arguments and base.argument:
        draft.settings.setdefault("build-args", {})[base.argument] = name
        if likely:
            draft.decisions.append(f"{likely}the build argument {base.argument} makes it the image just built")
    elif base.written != name:
        draft.decisions.append(
            f"{likely}write {name} for {plain(base.written)} in {draft.dockerfile.path}: the image just built"
        )
    if name in draft.dockerfile.stages:
        draft.decisions.append(f"rename the stage {name} in {draft.dockerfile.path}: it has the name of a dependency")


def _foreign(draft: Draft, base: Base, reference: str) -> None:
    if "CI_REGISTRY" in reference or "CI_DEPENDENCY_PROXY" in reference:
        draft.decisions.append(
            f"{plain(base.written)} is in GitLab's registry: move it, or add a login (docs/registries.md)"
        )
    elif not is_known(reference):
        draft.decisions.append(f"{plain(base.written)} is known only in the job: set the build argument")


def _without_cycles(named: Mapping[str, Draft], edges: dict[str, list[str]]) -> None:
    while True:
        try:
            TopologicalSorter(edges).prepare()
        except CycleError as error:
            needed, name = error.args[1][:2]
            edges[name].remove(needed)
            named[name].decisions.append(f"{name} and {needed} are built on each other: {needed} is left out here")
        else:
            return
