"""The settings of IAM roles and policies, for accounts with rules about them."""

import hashlib
from typing import Annotated

from stacks.model import Model, pattern_text

_SIGNS = "[A-Za-z0-9_+=,.@-]"

PolicyArn = Annotated[
    str,
    pattern_text(
        rf"^arn:aws[a-z-]*:iam::(?:[0-9]{{12}}|aws):policy/(?:{_SIGNS}+/)*{_SIGNS}{{1,128}}$",
        "Use the ARN of a policy, such as arn:aws:iam::123456789012:policy/boundary.",
        max_length=2048,
    ),
]

RolePath = Annotated[
    str,
    pattern_text(
        rf"^/(?:{_SIGNS}+/)*$",
        "Begin and end it with '/', such as /ci/builds/. Use letters, digits and _ + = , . @ -",
        max_length=512,
    ),
]
"""AWS allows more signs, such as `*`, which would mean other roles wherever a policy names the role.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
"""

ROOT = "/"


class Iam(Model):
    """The permissions boundary and the path of IAM roles."""

    permissions_boundary: PolicyArn | None = None
    """The ARN of the policy that is the permissions boundary of every role: what its role may do at most."""
    path: RolePath = ROOT
    """The path of every role and policy, such as `/ci/`. Another path replaces them, and so the node groups."""

    def named(self, name: str) -> str:
        """The name of a role or policy in this path.

        IAM wants one account's names to differ also if their paths do. While a new path's role is made, the old one
        still serves running jobs, so its name cannot be the same.
        """
        return name if self.path == ROOT else f"{name}-{hashlib.sha256(self.path.encode()).hexdigest()[:6]}"
