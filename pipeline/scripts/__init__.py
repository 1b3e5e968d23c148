"""The scripts that jobs run. The published pipeline contains their text, and hands them names as values.

Shell scripts are POSIX sh, since the builder image's shell may be BusyBox. Python scripts run on 3.10 or newer, with
only the standard library.
"""

import shlex
from importlib.resources import files


def shell(name: str, **values: str) -> str:
    """A shell script, as one entry of a job's script. It begins with assignments of `values` to variables."""
    assignments = (f"{variable}={shlex.quote(value)}\n" for variable, value in values.items())
    return "".join(assignments) + files(__name__).joinpath(name).read_text().rstrip()


def python(name: str, *arguments: str) -> str:
    """The shell command that runs a Python script with these arguments."""
    return _python(name, shlex.join(arguments))


def function(name: str, script: str, *arguments: str) -> str:
    """A shell function that runs a Python script with these arguments, followed by the function's own."""
    return f"{name}() {{\n{_python(script, ' '.join([*map(shlex.quote, arguments), _ALL]))}\n}}"


_ALL = '"$@"'


def _python(name: str, arguments: str) -> str:
    return f"python3 - {arguments} <<'PYTHON'\n{shell(name)}\nPYTHON"
