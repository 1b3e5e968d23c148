"""What the jobs run. The files stand in the published pipeline as they stand here.

Shell is POSIX sh, since the builder image's may be BusyBox's; Python is any from 3.10 on, with nothing but its library.
"""

import shlex
from importlib.resources import files


def shell(name: str, **values: str) -> str:
    """A shell script as a line of a job's script. It begins by assigning `values` to variables."""
    assignments = (f"{variable}={shlex.quote(value)}\n" for variable, value in values.items())
    return "".join(assignments) + files(__name__).joinpath(name).read_text().rstrip()


def python(name: str, *arguments: str) -> str:
    """The shell command that runs a Python script with these arguments."""
    return _python(name, shlex.join(arguments))


def function(name: str, script: str, *arguments: str) -> str:
    """A shell function that runs a Python script with these arguments, followed by the function's own."""
    return f"{name}() {{\n{_python(script, shlex.join(arguments) + _ALL)}\n}}"


_ALL = ' "$@"'


def _python(name: str, arguments: str) -> str:
    return f"python3 - {arguments} <<'PYTHON'\n{shell(name)}\nPYTHON"
