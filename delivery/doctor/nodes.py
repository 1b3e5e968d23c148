"""Whether EKS keeps the node groups able to start nodes."""

from collections.abc import Iterator

from delivery.doctor.outputs import Deployed, title_of
from delivery.doctor.questions import Answers, Refused
from delivery.doctor.report import Check, failed, noticed, passed

_CHANGING = ("CREATING", "UPDATING", "DELETING")


def check_node_groups(stack: str, cluster: str, deployed: Deployed, answers: Answers) -> Iterator[Check]:
    """One check per node group."""
    for place, name in deployed.node_groups.items():
        title, status = title_of("Node group", place), answers.node_groups[place]
        describe = f"aws eks describe-nodegroup --cluster-name {cluster} --nodegroup-name {name}"
        match status:
            case "ACTIVE":
                yield passed(title, f"{name} is active")
            case Refused(missing=True):
                yield failed(
                    title,
                    f"EKS has no node group {name} in the cluster {cluster}: somebody deleted it",
                    f"Run `pulumi up -s {stack}`, which makes a new one.",
                )
            case Refused(reason=reason):
                yield failed(title, reason, "Use credentials that may describe the node group (eks:DescribeNodegroup).")
            case str() if status in _CHANGING:
                yield noticed(
                    title, f"EKS says {status} of {name}", "Wait until the update has ended, then check again."
                )
            case _:
                yield failed(
                    title, f"EKS says {status} of {name}", f"Run `{describe} --query nodegroup.health`: it says why."
                )
