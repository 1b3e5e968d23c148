"""The tags of images and build caches. No other module knows their names.

The published scripts get these names as values. Components make the repositories' tag filter and lifecycle policy of
them. A different prefix leaves the old caches behind: nothing reads them, and the new lifecycle policy keeps them.
"""

LATEST = "latest"
"""The newest image of the default branch."""

CACHE_PREFIX = "buildcache-"
"""The beginning of every build cache's tag."""


def cache_pattern() -> str:
    """The pattern that matches the tags of all build caches and nothing else, in ECR's notation."""
    return f"{CACHE_PREFIX}*"


def movable() -> tuple[str, ...]:
    """The patterns of tags that builds move. All other tags are immutable."""
    return (LATEST, cache_pattern())
