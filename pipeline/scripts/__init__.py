"""What the jobs run. The files stand in the published pipeline as they stand here.

Shell is POSIX sh, since the builder image's may be BusyBox's; Python is any from 3.10 on, with nothing but its library.
"""

from importlib.resources import files


def shell(name: str) -> str:
    """A shell script as a line of a job's script."""
    return files(__name__).joinpath(name).read_text().rstrip()


def python(name: str, arguments: str) -> str:
    """The shell command that runs a Python script with these arguments, already quoted for the shell."""
    return f"python3 - {arguments} <<'PYTHON'\n{shell(name)}\nPYTHON"


def function(name: str, script: str) -> str:
    """A shell function that runs a Python script with the function's arguments."""
    return f"{name}() {{\n{python(script, _ALL)}\n}}"


_ALL = '"$@"'
