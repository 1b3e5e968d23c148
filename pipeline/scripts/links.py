"""Advise COPY --link at the end of a Dockerfile, in the job's log and in the code quality report.

Arguments: the Dockerfile, the report, which may exist, and the stage that is built, by default the last one.

With --link, a layer does not depend on those under it. But it then makes the folders of its destination itself: root's,
with mode 0755, in place of a symbolic link or another user's folder. So there is advice only for a folder at the root
that no Linux image has, and only if no earlier step may have changed its owner.
Sources: https://docs.docker.com/reference/dockerfile/#copy---link and
https://github.com/docker/buildx/issues/1855#issuecomment-2295762189
"""

import hashlib
import json
import posixpath
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.scripts.dockerfile import numbered

RULE = "copy-link"
ADVICE = (
    "with --link, this step pulls nothing of what is under it, and a rebuild on a new base takes it from the cache. "
    "Use it if the base image has no {folder} and sets no USER"
)

_READS_NO_FILES = {
    *("ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "SHELL", "STOPSIGNAL"),
    *("USER", "VOLUME"),
}
_OF_LINUX = {
    *("bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "proc", "root"),
    *("run", "sbin", "srv", "sys", "tmp", "usr", "var"),
}
_SYNTAX = re.compile(r"#\s*syntax\s*=\s*(\S+)", re.IGNORECASE)
_SYNTAX_WITH_LINK = re.compile(r"(docker\.io/)?docker/dockerfile:(1|1\.([4-9]|[1-9]\d)(\.\d+)?)(@\S+)?")
_CHANGES_OWNERS = re.compile(
    r"USER\s|(COPY|ADD)\s.*--chown|RUN\s.*\b(chown|chgrp|chmod|ln|useradd|adduser)\b", re.I | re.S
)

Steps = Sequence[tuple[int, str]]
"""Instructions, each with the number of its first line."""


def advised(text: str, target: str = "") -> Iterator[tuple[int, str]]:
    """The lines that --link is advised for, each with its folder at the root, from the last line on."""
    syntax = _SYNTAX.match(text)
    if syntax and not _SYNTAX_WITH_LINK.fullmatch(syntax[1]):
        return
    base, steps = _built(list(numbered(text)), target.lower())
    for position in range(len(steps) - 1 if base != "scratch" else -1, -1, -1):
        line, instruction = steps[position]
        word, *arguments = instruction.split()
        if word.upper() in _READS_NO_FILES or (word.upper() in ("ADD", "COPY") and "--link" in arguments):
            continue
        before = [each for _, each in steps[:position]]
        folder = _folder(arguments, before) if word.upper() in ("ADD", "COPY") else ""
        if not folder or any(_CHANGES_OWNERS.match(each) or _names(each, folder) for each in before):
            return
        yield line, folder


def _built(instructions: Steps, target: str) -> tuple[str, Steps]:
    """The base image of a stage, and all steps above it: the stage's own, after those of the stages that it is from."""
    stages: dict[str, tuple[str, Steps]] = {}
    base, name, steps = "scratch", "", list[tuple[int, str]]()
    for line, instruction in instructions:
        if not re.match(r"FROM\s", instruction, re.IGNORECASE):
            steps.append((line, instruction))
            continue
        stages[name] = (base, steps)
        base, *named = [each.lower() for each in instruction.split()[1:] if not each.startswith("--")]
        name = named[1] if named[:1] == ["as"] and len(named) > 1 else ""
        base, under = stages.get(base, (base, ()))
        steps = [*under]
    stages[name] = (base, steps)
    return stages.get(target, ("scratch", ())) if target else (base, steps)


def _folder(arguments: Sequence[str], before: Sequence[str]) -> str:
    """The folder at the root that a COPY or ADD writes to; empty if that is not certain, or of every Linux image."""
    flags = [each for each in arguments if each.startswith("--")]
    paths = [each for each in arguments if not each.startswith("--")]
    if (
        len(paths) < 2
        or paths[0].startswith("[")
        or any(not each.startswith(("--from=", "--chmod=")) for each in flags)
    ):
        return ""
    path = ""
    for each in before:
        word, _, folder = each.partition(" ")
        path = posixpath.join(path, folder.strip()) if word.upper() == "WORKDIR" else path
    path = posixpath.join(path, paths[-1])
    first = path.strip("/").partition("/")[0]
    return (
        f"/{first}" if re.fullmatch(r"/[\w./-]+", path) and ".." not in path and first not in {*_OF_LINUX, ""} else ""
    )


def _names(instruction: str, folder: str) -> bool:
    return re.match(r"RUN\s", instruction, re.IGNORECASE) is not None and folder in instruction


def finding(file: str, line: int, folder: str) -> dict[str, Any]:
    """A finding in GitLab's form: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format."""
    return {
        "check_name": RULE,
        "description": ADVICE.format(folder=folder),
        "fingerprint": hashlib.sha256(f"{RULE} {file} {line}".encode()).hexdigest()[:40],
        "severity": "info",
        "location": {"path": file, "lines": {"begin": line}},
    }


def main(file: str, report: str, target: str = "") -> None:
    """Print the advice, and add it to the report."""
    found = sorted(advised(Path(file).read_text(encoding="utf-8-sig", errors="replace"), target))
    for line, folder in found:
        print(f"{file}:{line} {RULE} info: {ADVICE.format(folder=folder)}.")
    path = Path(report)
    others = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps([*others, *(finding(file, *each) for each in found)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
