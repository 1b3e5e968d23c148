"""The scripts that jobs run. The published pipeline contains their text, and hands them names as values.

Shell scripts are POSIX sh, since the builder image's shell may be BusyBox. Python scripts run on 3.10 or newer, with
only the standard library. One that imports from another contains its text.
"""

import re
import shlex
from importlib.resources import files


def shell(name: str, **values: str) -> str:
    """A shell script, as one entry of a job's script. It begins with assignments of `values` to variables."""
    assignments = (f"{variable}={shlex.quote(value)}\n" for variable, value in values.items())
    return "".join(assignments) + _text(name)


def function(name: str, script: str, *arguments: str) -> str:
    """A shell function that runs a Python script with these arguments, followed by the function's own."""
    given = " ".join([*map(shlex.quote, arguments), '"$@"'])
    return f"{name}() {{\npython3 - {given} <<'PYTHON'\n{_program(script, set())}\nPYTHON\n}}"


def _program(name: str, included: set[str]) -> str:
    """A Python script, with the text of those from which it imports, each once."""

    def imported(found: re.Match[str]) -> str:
        if found[1] in included:
            return ""
        included.add(found[1])
        return f"{_program(f'{found[1]}.py', included)}\n"

    return re.sub(r"^from pipeline\.scripts\.(\w+) import .*\n", imported, _text(name), flags=re.M)


def _text(name: str) -> str:
    return files(__name__).joinpath(name).read_text().rstrip()
