"""Versions that Python's requirements do not pin."""

RUNNER_CHART_VERSION = "0.86.0"
"""The `gitlab-runner` Helm chart. `stacks/charts` has the values of the same version, to check ours against."""

RUNNER_VERSION = "19.2.3"
"""GitLab Runner, newer than the chart's own.

18.11 is the oldest that supports seccomp and AppArmor profiles in a container's security context.
"""

BUILDKIT_VERSION = "0.34.2"
"""BuildKit in the builder image. 0.12 is the oldest whose cache manifests ECR accepts."""

BUILDER_VERSION = "1.3.0"
"""The tag of `images/builder`, the image that the published pipeline's jobs run in. Every change there raises it."""


def numbers(version: str) -> tuple[int, ...]:
    """The parts of a version such as `1.34`, for comparisons."""
    return tuple(int(number) for number in version.split("."))
