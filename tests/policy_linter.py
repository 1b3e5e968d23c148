"""The findings of parliament, a linter for IAM policies."""

import json
import warnings
from collections.abc import Mapping
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources
    from parliament import analyze_policy_string

_OWN_ROLE = "arn:aws:iam::123456789012:role/own"
_NOT_LINTED = {
    "CREDENTIALS_EXPOSURE",  # the result of every action that gives credentials: roles are for that
    "UNKNOWN_FEDERATION_SOURCE",  # it knows no OIDC providers,
    "UNKNOWN_CONDITION_FOR_ACTION",  # and none of their claims
}


def findings(document: Mapping[str, Any], *, own: str = _OWN_ROLE) -> dict[str, Any]:
    """The linter's findings in a policy, by the finding's name, with the rules of its community.

    It knows no policies of resources: for it, they get the resource that they have in fact, with the ARN `own`. For a
    trust policy that is its role.
    """
    statements = [
        {"Resource": own, **statement} if "Principal" in statement else statement for statement in document["Statement"]
    ]
    found = analyze_policy_string(json.dumps({**document, "Statement": statements}), include_community_auditors=True)
    federated = any("Federated" in statement.get("Principal", {}) for statement in statements)
    ignored = _NOT_LINTED if federated else {"CREDENTIALS_EXPOSURE"}
    return {finding.issue: finding.detail for finding in found.findings if finding.issue not in ignored}
