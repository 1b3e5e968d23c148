"""Values of the runner's chart, and `config.toml` text, that a stack adds to Buildyard's own.

They are checked against what Buildyard relies on: each key that it sets, or that would let a job do more, is refused by
its name. What the chart and the runner do not know is refused, too, since they would ignore it.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stacks.chart_keys import Location, faults_in_runner, faults_in_values, name_of
from stacks.credentials import CREDENTIALS
from stacks.owned_keys import CONFIGURES, JOBS, OWNED_CONFIG, OWNED_VALUES, PROXIES, RESERVED_VOLUMES, Owned
from stacks.problems import Problem, key_path
from stacks.runners import Runners

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_VALUES = "buildyard:runners.chart-values"
_CONFIG = "buildyard:runners.config"
_UNSET = Owned(
    patterns=CREDENTIALS,
    why="every job unsets it, so that it logs in with the pod's role",
    instead="Remove it, or use another name.",
)

MAX_VALUES = 1000
"""Values in a stack's own chart values. The chart itself has fewer than 200."""


def check(runners: Runners) -> Iterator[Problem]:
    """Every problem in a stack's own chart values and `config.toml` text."""
    if _count(runners.chart_values) > MAX_VALUES:
        yield Problem(
            path=_VALUES,
            message=f"has more than {MAX_VALUES:,} values",
            hint="Put objects of your own into a chart of their own.",
        )
    else:
        yield from _check_values(runners.chart_values)
    if runners.config is not None:
        try:
            config = _parse(runners.config)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is nested too deeply"
            yield Problem(path=_CONFIG, message=f"is not TOML: {reason[:200]}", hint="Correct the syntax.")
        else:
            yield from _check_config(config, _UNSET)


def own_config(runners: Runners) -> dict[str, Any]:
    """The section `[[runners]]` in a stack's own `config.toml` text, which has been checked."""
    [section] = _parse(runners.config or "[[runners]]")["runners"]
    return dict(section)


def merged(ours: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Two documents in one. Mappings are merged and lists joined; a checked addition has no other key of ours."""
    result = dict(ours)
    for key, value in added.items():
        mine = result.get(key)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            result[key] = merged(mine, value)
        elif isinstance(mine, list) and isinstance(value, list):
            result[key] = [*mine, *value]
        else:
            result[key] = value
    return result


def _parse(text: str) -> dict[str, Any]:
    document: dict[str, Any] = tomllib.loads(text)
    return document


def _check_values(values: Mapping[str, Any]) -> Iterator[Problem]:
    def problem(location: Location, message: str, hint: str) -> Problem:
        return Problem(path=key_path(_VALUES, location), message=message, hint=hint)

    for fault in faults_in_values(values):
        yield problem(fault.location, fault.message, fault.hint)
    for location, owned in _owned(values, OWNED_VALUES):
        yield problem(location, f"is Buildyard's: {owned.why}", owned.instead)
    for location, message, hint in (*_templates(values), *_manager_pod(values)):
        yield problem(location, message, hint)
    variables: list[tuple[Location, str]] = [
        *((("extraEnv", name), str(name)) for name in _mapping(values.get("extraEnv"))),
        *((("extraEnvFrom", name), str(name)) for name in _mapping(values.get("extraEnvFrom"))),
        *((("envVars", number), str(_mapping(each).get("name"))) for number, each in _numbered(values.get("envVars"))),
    ]
    for place, name in variables:
        for owned in (PROXIES, CONFIGURES, JOBS):
            if owned.has(name):
                yield problem(place, f"sets {name[:80]}, which is Buildyard's: {owned.why}", owned.instead)


def _manager_pod(values: Mapping[str, Any]) -> Iterator[tuple[Location, str, str]]:
    """Find what the admission policy would refuse, or what would put a manager on a build node."""
    for number, volume in _numbered(values.get("volumes")):
        kinds = [key for key in _mapping(volume) if key != "name"]
        if any(kind not in ("emptyDir", "configMap", "secret", "projected", "downwardAPI") for kind in kinds):
            message = f"is a volume of the kind {', '.join(map(str, kinds))[:80]}, which the admission policy refuses"
            yield ("volumes", number), message, "Use emptyDir, configMap, secret, projected or downwardAPI."
        if _mapping(volume).get("name") in RESERVED_VOLUMES:
            yield ("volumes", number, "name"), "is the name of a volume of Buildyard's", "Use another name."
    for number, toleration in _numbered(values.get("tolerations")):
        key = str(_mapping(toleration).get("key") or "")
        if not key or key.startswith("buildyard.dev/"):
            yield (
                ("tolerations", number),
                "tolerates the taint of build nodes, which a manager would keep alive for ever",
                "Name the key of another taint.",
            )


def _check_config(config: Mapping[str, Any], unset: Owned) -> Iterator[Problem]:
    def problem(location: Location, message: str, hint: str) -> Problem:
        where = f"[[runners]] {name_of(location)[:200]}" if location else "[[runners]]"
        return Problem(path=_CONFIG, message=f"{where} {message}", hint=hint)

    for key in config:
        if key != "runners":
            yield Problem(
                path=_CONFIG,
                message=f"{key[:80]!r} is not of a runner, but of the manager",
                hint="Use buildyard:runners.chart-values for the manager, such as logLevel.",
            )
    sections = config.get("runners")
    if not isinstance(sections, list) or len(sections) != 1 or not isinstance(sections[0], Mapping):
        yield Problem(
            path=_CONFIG,
            message="has not exactly one [[runners]]",
            hint="Begin with [[runners]]: it holds for each runner.",
        )
        return
    [section] = sections
    for fault in faults_in_runner(section):
        yield Problem(path=_CONFIG, message=f"[[runners]]: {fault.message}", hint=fault.hint)
    for location, owned in _owned(section, OWNED_CONFIG):
        yield problem(location, f"is Buildyard's: {owned.why}", owned.instead)
    for location, message, hint in _templates(section):
        yield problem(location, message, hint)
    for number, text in _numbered(section.get("environment")):
        name = str(text).partition("=")[0]
        for owned in (PROXIES, JOBS, unset):
            if owned.has(name):
                yield problem(
                    ("environment", number), f"sets {name[:80]}, which is Buildyard's: {owned.why}", owned.instead
                )
    volumes = _mapping(_mapping(section.get("kubernetes")).get("volumes"))
    for number, volume in _numbered(volumes.get("empty_dir")):
        location = ("kubernetes", "volumes", "empty_dir", number)
        if _mapping(volume).get("name") in RESERVED_VOLUMES:
            yield problem((*location, "name"), "is the name of a volume of Buildyard's", "Use another name.")
        path = re.sub("/+", "/", str(_mapping(volume).get("mount_path")))
        if f"{path}/".startswith(("/home/user/.local", "/etc/buildyard", "/buildkit/")):
            yield problem((*location, "mount_path"), "hides files of the build", "Use another folder.")


def _owned(document: Mapping[str, Any], table: Iterable[Owned]) -> Iterator[tuple[Location, Owned]]:
    """The highest keys of a document that are Buildyard's."""

    def search(value: Any, here: Location) -> Iterator[tuple[Location, Owned]]:
        path = ".".join(map(str, here))
        for owned in table:
            if here and owned.has(path):
                yield here, owned
                return
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from search(item, (*here, key))

    return search(document, ())


def _templates(value: Any, here: Location = ()) -> Iterator[tuple[Location, str, str]]:
    """Find Helm templates, which the chart runs in some values: what they would say cannot be checked."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _templates(item, (*here, key))
            if "{{" in str(key):
                yield here, "has a key with {{, a template of Helm", "Write the value that the template would have."
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _templates(item, (*here, number))
    elif isinstance(value, str) and "{{" in value:
        yield here, "contains {{, a template of Helm", "Write the value that the template would have."


def _count(value: Any) -> int:
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return 1 + sum(map(_count, items))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _numbered(value: Any) -> Iterator[tuple[int, Any]]:
    return enumerate(value) if isinstance(value, list) else enumerate(())
