"""The field types that several parts of a stack's settings share."""

from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field

from stacks.model import pattern_text
from stacks.problems import echo, nearest, refusal


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):  # pydantic takes true for 1
        raise refusal(f"{value} is not a whole number", "Use a whole number without quotes.")
    return value


_NAME = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"

Name = Annotated[
    str,
    pattern_text(
        rf"^{_NAME}$", "Use lower-case letters and digits, joined by a single '.', '_' or '-'.", max_length=100
    ),
]
"""Valid in the names of jobs, files and ECR repositories."""
REPOSITORY_NAME = rf"^{_NAME}(?:/{_NAME})*$"
MAX_REPOSITORY_NAME = 256

RepositoryName = Annotated[
    str,
    pattern_text(
        REPOSITORY_NAME,
        "Use lower-case words joined by '/', '.', '_' or '-', such as platform/images/toolbox.",
        min_length=2,
        max_length=MAX_REPOSITORY_NAME,
    ),
]
"""Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html"""

GitLabPath = Annotated[
    str,
    pattern_text(
        rf"^{_SEGMENT}(?:/{_SEGMENT})*$", "Use the path in its address, such as platform/images.", max_length=1024
    ),
]

VariableName = Annotated[
    str, pattern_text(r"^[A-Za-z_][A-Za-z0-9_]*$", "Use letters, digits and '_'. The first must not be a digit.")
]
Integer = Annotated[int, BeforeValidator(_no_boolean)]
Minutes = Annotated[Integer, Field(ge=10, le=60 * 24 * 7)]
Port = Annotated[Integer, Field(ge=1, le=65535)]

KubernetesName = Annotated[
    str,
    pattern_text(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "Use lower-case letters, digits and '-'.", max_length=63),
]

LABEL_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
"""A label's value in Kubernetes that is not empty, and the part of its key after a prefix.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
"""

ImageReference = Annotated[
    str,
    pattern_text(
        r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$", "Use an image's full name, with its tag or digest.", max_length=512
    ),
]

KmsKey = Annotated[
    str,
    pattern_text(
        r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(?:key|alias)/[A-Za-z0-9/_-]+$",
        "Use the key's ARN, such as arn:aws:kms:eu-central-1:123456789012:key/1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d.",
    ),
]

ONE, SEVERAL = "[one]", "[several]"
"""Tags of values that are a text or something larger. `parsing` removes them from the paths of pydantic's errors."""


def _known_time_zone(name: str) -> str:
    if name in _time_zones():
        return name
    close = nearest(name, [zone for zone in _time_zones() if "/" in zone or zone == "UTC"])
    advice = close if close.startswith("Did") else "Use a name from the IANA database, such as Asia/Hong_Kong or UTC."
    raise refusal(f"there is no time zone {echo(name)}", advice)


@cache
def _time_zones() -> dict[str, None]:
    return dict.fromkeys(sorted(available_timezones()))


TimeZone = Annotated[str, AfterValidator(_known_time_zone)]
"""The name of a time zone in the IANA database."""
