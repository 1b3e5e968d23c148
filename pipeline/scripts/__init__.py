"""The scripts that jobs run. The published pipeline contains them as they are here.

Shell scripts are POSIX sh, since the builder image's shell may be BusyBox. Python scripts run on 3.10 or newer, with
only the standard library.
"""

from importlib.resources import files


def shell(name: str) -> str:
    """A shell script, as one entry of a job's script."""
    return files(__name__).joinpath(name).read_text().rstrip()


def python(name: str, arguments: str) -> str:
    """The shell command that runs a Python script. Its `arguments` are already quoted for the shell."""
    return f"python3 - {arguments} <<'PYTHON'\n{shell(name)}\nPYTHON"


def function(name: str, script: str) -> str:
    """A shell function that runs a Python script with the function's arguments."""
    return f"{name}() {{\n{python(script, _ALL)}\n}}"


_ALL = '"$@"'
