"""An image's keys, from its builds: arguments, secrets, contexts, architectures, resources, timeout, watched paths."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from stacks.architecture import Architecture
from stacks.propose.builds import platforms_of
from stacks.propose.images import Draft
from stacks.propose.text import is_known, only_variable, plain, some
from stacks.quantities import LARGEST, Quantity
from stacks.runners import Runners

_CONFIDENTIAL = re.compile(r"token|passw|secret|credential|private|(?:api|access|auth|deploy|ssh)_?key", re.IGNORECASE)
_OF_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_OF_BUILDKIT = (
    "BUILDKIT_INLINE_CACHE",
    "TARGETARCH",
    "TARGETPLATFORM",
    "TARGETOS",
    "BUILDPLATFORM",
    "SOURCE_DATE_EPOCH",
)
_MACHINE = re.compile(r"(?:linux/)?(?:arm64|aarch64|amd64|x86_64|x64)(?:/v8)?")
_UNITS = {"w": 7 * 24 * 60, "d": 24 * 60, "h": 60, "m": 1, "s": 1 / 60}


def fill(draft: Draft, *, alone: bool) -> None:
    """Add the keys that the image's builds and Dockerfile tell of. `alone`: whether the project has no other image."""
    settings = draft.settings
    _arguments(draft)
    target = draft.builds[0].target if draft.builds else None
    if target and is_known(target):
        settings["target"] = target
    elif target:
        draft.decisions.append(f"the target is {plain(target)}, which is known only in the job")
    _secrets(draft)
    _contexts(draft)
    _architectures(draft)
    if resources := _resources(draft):
        settings["resources"] = resources
    timeouts = [minutes for build in draft.builds if (minutes := _minutes(build.job.timeout))]
    if timeouts and max(timeouts) != 60:
        settings["timeout-minutes"] = max(10, max(timeouts))
    _watch(draft, alone)


def _arguments(draft: Draft) -> None:
    found: dict[str, set[str]] = {}
    for build in draft.builds:
        for name, value in build.arguments.items():
            found.setdefault(name, set()).add(value)
    proposed: dict[str, Any] = {}
    for name, values in found.items():
        if name in draft.settings.get("build-args", {}) or name in _OF_BUILDKIT:
            continue
        value = next(iter(values))
        if name in _OF_PROXIES:
            draft.decisions.append(f"the build argument {name} is left out: a proxy is the platform's matter")
        elif _CONFIDENTIAL.search(name):
            draft.decisions.append(
                f"the build argument {plain(name)} looks like a secret, and everybody who pulls the image can read "
                "arguments: use secrets, and RUN --mount=type=secret"
            )
        elif len(values) > 1 and all(map(_MACHINE.fullmatch, values)):
            draft.decisions.append(f"for the build argument {plain(name)}, use BuildKit's TARGETARCH in the Dockerfile")
        elif len(values) > 1:
            draft.decisions.append(
                f"the build argument {plain(name)} differs between jobs: {', '.join(sorted(map(plain, values)))}"
            )
        elif variable := only_variable(value):
            proposed[name] = {"from": variable}
        elif is_known(value):
            proposed[name] = value
        else:
            draft.decisions.append(
                f"the build argument {plain(name)} is {plain(value)}, which is known only in the job: use a literal, "
                "or {from: VARIABLE}"
            )
    if unread := dict.fromkeys(word for build in draft.builds for word in build.unread):
        draft.decisions.append(f"{some(list(unread))} may add arguments: known only in the job")
    if proposed:
        draft.settings["build-args"] = {**draft.settings.get("build-args", {}), **proposed}


def _secrets(draft: Draft) -> None:
    given = {identifier: source for build in draft.builds for identifier, source in build.secrets.items()}
    proposed: dict[str, str] = {}
    for identifier in dict.fromkeys([*given, *draft.dockerfile.secrets]):
        source = given.get(identifier, "")
        variable = only_variable(source) or (source if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", source) else None)
        if variable:
            proposed[identifier] = variable
        else:
            draft.decisions.append(
                f"the secret {plain(identifier)} needs a CI/CD variable: secrets: {{{plain(identifier)}: VARIABLE}}"
            )
    if proposed:
        draft.settings["secrets"] = proposed


def _contexts(draft: Draft) -> None:
    proposed: dict[str, str] = {}
    for name, source in ((name, source) for build in draft.builds for name, source in build.contexts.items()):
        if is_known(source) and ("://" not in source or "@sha256:" in source):
            proposed[name] = source
        else:
            draft.decisions.append(
                f"the context {plain(name)} is {plain(source)}: it must be a folder, or have a digest"
            )
    if proposed:
        draft.settings["contexts"] = proposed


def _architectures(draft: Draft) -> None:
    named = {found for build in draft.builds for found in platforms_of(build)}
    demanded = {str(each) for each in Architecture if each.platform in draft.dockerfile.platforms}
    if len(demanded) == 1 and named != demanded:
        named = demanded
        draft.decisions.append(
            f"{draft.dockerfile.path} demands --platform={'/'.join(demanded)}: remove that to build for both"
        )
    if len(named) == 1:
        draft.settings["architectures"] = sorted(named)


def _resources(draft: Draft) -> dict[str, Any]:
    """The largest request and limit that a job sets, with a limit that is not below the request."""
    resources: dict[str, Any] = {}
    for field, defaults in Runners().defaults:
        found: dict[str, Quantity] = {}
        for bound in ("request", "limit"):
            variable = f"KUBERNETES_{field.upper()}_{bound.upper()}"
            texts = {build.job.variables[variable] for build in draft.builds if variable in build.job.variables}
            amounts = [amount for text in texts if (amount := _quantity(text))]
            if amounts:
                found[bound] = max(amounts)
            if len(amounts) < len(texts):
                draft.decisions.append(f"{variable} is no quantity: {', '.join(sorted(map(plain, texts)))}")
        limit = found.get("limit") or (defaults.limit if "request" in found else None)
        if "request" in found and limit and limit < found["request"]:
            draft.decisions.append(f"the limit of {field} is as large as its request; the default is {defaults.limit}")
            found["limit"] = found["request"]
        elif "limit" in found and defaults.request and found.get("request", defaults.request) > found["limit"]:
            found["request"] = found["limit"]
        if found:
            resources[field.replace("_", "-")] = {bound: str(amount) for bound, amount in found.items()}
    return resources


def _quantity(text: str) -> Quantity | None:
    try:
        amount = Quantity(text)
    except ValueError:
        return None
    return amount if 0 < amount.value <= LARGEST else None


def _minutes(text: str | None) -> int:
    """GitLab's text for a duration, such as `1h 30m` or `90 minutes`, in minutes."""
    parts = re.findall(r"(\d{1,6})\s*([wdhms])[a-z]*", (text or "").lower()[:100])
    return round(sum(int(number) * _UNITS[unit] for number, unit in parts))


def _watch(draft: Draft, alone: bool) -> None:
    if draft.context != ".":
        return
    changes = dict.fromkeys(path for build in draft.builds for path in build.job.changes)
    paths = [path for path in (_watched(change) for change in changes) if path]
    if paths and "." not in paths:
        draft.settings["watch"] = paths
    elif not alone:
        draft.decisions.append("the context is the whole repository, so every change builds it: set watch")


def _watched(pattern: str) -> str | None:
    """A pattern of `changes` as one of `watch`, which takes a folder with all that is in it."""
    if not is_known(pattern):
        return None
    path = re.sub(r"(?:/\*\*)?/\*{1,2}(?:/\*)?$", "", pattern.strip("/"))
    return "." if path in ("*", "**") else path or None


def largest(drafts: Iterable[Draft]) -> Mapping[str, Quantity]:
    """The largest request or limit of each resource, by its key in `ceilings`."""
    found: dict[str, Quantity] = {}
    for draft in drafts:
        for key, bounds in draft.settings.get("resources", {}).items():
            for text in bounds.values():
                found[key] = max(found.get(key, Quantity("0")), Quantity(text))
    return found
