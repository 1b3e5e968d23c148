"""Versions of what the platform deploys but Python's requirements do not pin."""

RUNNER_CHART_VERSION = "0.86.0"
"""The `gitlab-runner` Helm chart. `sandbox/charts` holds the values of the same version, to check ours by."""

RUNNER_VERSION = "19.2.3"
"""GitLab Runner, newer than the chart's own.

18.11 is the oldest that knows seccomp and AppArmor profiles in a container's security context.
"""

BUILDKIT_VERSION = "0.33.1"
"""BuildKit in the builder image; 0.12 is the oldest whose cache manifests ECR takes."""

BUILDER_VERSION = "1.0.0"
"""The tag of `images/builder`, the image that the published pipeline's jobs run in. Every change there raises it."""
