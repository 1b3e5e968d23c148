"""Read a Dockerfile as BuildKit reads it.

Source: https://github.com/moby/buildkit/blob/master/frontend/dockerfile/parser/parser.go
"""

import re
import shlex
from collections.abc import Iterator


def instructions(text: str) -> Iterator[str]:
    """The instructions, each on one line, without comments and here-documents."""
    return (instruction for _, instruction in numbered(text))


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """The same instructions, each with the number of its first line."""
    lines = enumerate(text.splitlines(), start=1)
    continued = _continuation("\\")
    directives = True
    for number, line in lines:
        directive = re.match(r"#\s*(\w+)\s*=\s*(\S+)\s*$", line)
        directives = directives and directive is not None
        if directives and directive and directive[1].lower() == "escape":
            continued = _continuation(directive[2])
        if _is_empty(line):
            continue
        parts = [line]
        while continued.search(parts[-1]):
            following = next((each for _, each in lines if not _is_empty(each)), "")
            parts.append(following)
        instruction = "".join(continued.sub("", part) for part in parts).strip()
        yield number, instruction
        for end, dash in _heredocs(instruction):
            for _, line in lines:
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
