"""Refuse a Dockerfile with a stage that has the name of a dependency or named context.

Arguments: the Dockerfile, and these names. BuildKit would silently use the dependency instead of the stage.
The file is read as BuildKit reads it:
https://github.com/moby/buildkit/blob/master/frontend/dockerfile/parser/parser.go
"""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path


def instructions(text: str) -> Iterator[str]:
    """The instructions, each on one line, without comments and here-documents."""
    lines = iter(text.splitlines())
    continued = _continuation("\\")
    directives = True
    for line in lines:
        directive = re.match(r"#\s*(\w+)\s*=\s*(\S+)\s*$", line)
        directives = directives and directive is not None
        if directives and directive and directive[1].lower() == "escape":
            continued = _continuation(directive[2])
        if _is_empty(line):
            continue
        parts = [line]
        while continued.search(parts[-1]):
            following = next((each for each in lines if not _is_empty(each)), "")
            parts.append(following)
        instruction = "".join(continued.sub("", part) for part in parts).strip()
        yield instruction
        for end, dash in _heredocs(instruction):
            for line in lines:
                if (line.lstrip("\t") if dash else line) == end:
                    break


def _continuation(escape: str) -> "re.Pattern[str]":
    return re.compile(rf"{re.escape(escape)}[ \t]*$")


def _is_empty(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _heredocs(instruction: str) -> Iterator[tuple[str, str]]:
    """The last line of each here-document, and a dash if that may be indented."""
    if not re.match(r"(?:ONBUILD\s+)?(?:RUN|COPY|ADD)\s", instruction, re.IGNORECASE):
        return
    try:
        words = shlex.split(instruction, posix=False)
    except ValueError:  # an apostrophe
        words = instruction.split()
    for word in words:
        found = re.fullmatch(r"\d*<<(-?)([^<]+)", word)
        if found:
            yield found[2].strip("\"'"), found[1]


dockerfile, *given = sys.argv[1:]
if not Path(dockerfile).is_file():
    sys.exit(0)  # BuildKit says so
for instruction in instructions(Path(dockerfile).read_text(encoding="utf-8-sig", errors="replace")):
    stage = re.fullmatch(r"FROM\s+.*\sAS\s+(\S+)", instruction, re.IGNORECASE)
    if stage and stage[1].lower() in given:
        name = stage[1]
        sys.exit(
            f"{dockerfile} has a stage {name}, and {name.lower()} is also in the image's depends-on or contexts: "
            f"BuildKit would use that instead of the stage. Rename the stage: {instruction}"
        )
