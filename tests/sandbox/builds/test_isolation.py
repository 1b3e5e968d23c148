"""The isolation of a Dockerfile's steps from their job, as in `docs/security.md`."""

import pytest

from tests.sandbox.builds.environments import Environment, job, words

pytestmark = pytest.mark.builds

SEARCH = """\
FROM busybox:1.37
ENV MARK_OF_THIS_STEP=here
RUN for file in /proc/[0-9]*/environ; do \\
      tr '\\0' '\\n' <"$file" 2>/dev/null; \\
    done >/found; \\
    grep -q MARK_OF_THIS_STEP=here /found || { echo the search finds nothing at all; exit 3; }; \\
    ! grep AWS_CONTAINER_AUTHORIZATION_TOKEN /found
"""


def test_a_step_does_not_find_the_pods_token_in_other_processes(environment: Environment) -> None:
    built = job(environment.build(environment.project(files={"app/Dockerfile": SEARCH})), "build-app:amd64")
    assert built.passed, f"a dependency's install script could become the build role: {words(built)}"
