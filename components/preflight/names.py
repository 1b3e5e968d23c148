"""Check that the names made from the stack's name are names for their owners: AWS, Helm and Kubernetes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from components.preflight.checks import Check
from stacks.names import stack_name
from stacks.registries import cached_upstreams
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The rule of an owner of names. `allowed` says in words what `pattern` does."""

    what: str
    longest: int
    pattern: str
    allowed: str


_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_TEXT = "lower-case letters, digits and '-'"

HELM_RELEASE = Rule(
    what="Helm release",
    longest=53,
    pattern=rf"{_LABEL}(\.{_LABEL})*",
    allowed="lower-case letters, digits, '-' and '.'",
)
"""Source: https://helm.sh/docs/chart_best_practices/conventions/ and Helm's `pkg/chart/common/util`"""
NAMESPACE = Rule(what="Kubernetes namespace", longest=63, pattern=_LABEL, allowed=_LABEL_TEXT)
"""Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names"""
LABEL_VALUE = Rule(
    what="Kubernetes label's value",
    longest=63,
    pattern=r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?",
    allowed="letters, digits, '-', '_' and '.', with a letter or digit at both ends",
)
"""Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set"""
ROLE = Rule(what="IAM role", longest=64, pattern=r"[\w+=,.@-]+", allowed="letters, digits and _ + = , . @ -")
POLICY = Rule(what="IAM policy", longest=128, pattern=ROLE.pattern, allowed=ROLE.allowed)
"""Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
NODE_GROUP = Rule(
    what="EKS node group", longest=63, pattern=r"[A-Za-z0-9][A-Za-z0-9_-]*", allowed="letters, digits, '-' and '_'"
)
"""Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html"""
LAUNCH_TEMPLATE = Rule(
    what="EC2 launch template", longest=128, pattern=r"[A-Za-z0-9().\-/_]+", allowed="letters, digits and - ( ) . / _"
)
"""Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html"""


def names(settings: Settings, stack: str) -> Iterator[tuple[Rule, str]]:
    """The names that a stack makes from its own, each with its rule."""
    prefix = stack_name(stack)
    yield LABEL_VALUE, stack
    for tier in settings.trust.tiers:
        name = tier.of(prefix)
        yield NAMESPACE, settings.runners.namespace_of(stack, tier)
        yield ROLE, settings.iam.named(f"{name}-push")
        yield POLICY, settings.iam.named(f"{name}-push-10")
        for architecture in settings.architectures:
            yield HELM_RELEASE, f"{name}-{architecture}"
            yield ROLE, settings.iam.named(f"{name}-{architecture}-node")
            yield NODE_GROUP, f"{name}-{architecture}"
            yield LAUNCH_TEMPLATE, f"{name}-{architecture}"
    if settings.registry.kms_key and cached_upstreams(settings.registry.pull_through):
        yield ROLE, settings.iam.named(f"{prefix}-pull-through")


def check_names(settings: Settings, stack: str) -> Check:
    """Check the names: their lengths by the tightest limit, their characters by every rule."""
    check = Check(title="Names of resources", found=f"{stack_name(stack)}-...")
    wanted = list(names(settings, stack))
    rule, name = max(wanted, key=lambda each: len(each[1]) - each[0].longest)
    if (excess := len(name) - rule.longest) > 0:
        check.problem(
            f"stack {stack}",
            f"the {rule.what} {name} would have {len(name)} characters, and {rule.longest} are allowed",
            f"Choose a name of at most {len(stack) - excess} characters for the stack.",
        )
    broken = {rule.what: (rule, name) for rule, name in wanted if not re.fullmatch(rule.pattern, name)}
    for rule, name in broken.values():
        check.problem(
            f"stack {stack}",
            f"{name} cannot be the name of a {rule.what}",
            f"Choose a name for the stack with only {rule.allowed}.",
        )
    return check
