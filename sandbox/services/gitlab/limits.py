"""The limits of GitLab's API: lengths and sizes that it refuses to exceed.

Sources: https://docs.gitlab.com/api/project_level_variables/, https://docs.gitlab.com/administration/instance_limits/
and the validations in GitLab's `app/models/ci/runner.rb` and `app/models/concerns/ci/has_variable.rb`.
"""

VARIABLE_KEY = 255
VARIABLE_VALUE = 10_000
VARIABLE_DESCRIPTION = 255
RUNNER_DESCRIPTION = 1024
RUNNER_MAINTENANCE_NOTE = 1024
RUNNER_TAGS = 50
RUNNER_SHORTEST_TIMEOUT = 600  # seconds
REQUEST_BYTES = 300 * 1024 * 1024  # for files and commits


def too_long(text: str, limit: int) -> list[str]:
    """The problems of a text that may have at most `limit` characters: none, or one in GitLab's words."""
    return [f"is too long (maximum is {limit} characters)"] if len(text) > limit else []
