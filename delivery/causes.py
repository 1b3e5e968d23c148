"""The causes of replacements, in words: what somebody changed, not the property by which the program passes it on."""

from collections.abc import Iterable, Iterator, Mapping

from delivery.markdown import code, some
from delivery.preview import Change, Operation
from delivery.resource_types import LAUNCH_TEMPLATE, NAMESPACE, NODE_GROUP, RELEASE, REPOSITORY, RUNNER

_NOTE = "maintenanceNote"
"""The property by which `components/runners.py` replaces a runner together with its node group or namespace."""

_WORDS: Mapping[str, Mapping[str, str]] = {
    NODE_GROUP: {
        "capacityType": "the capacity type changes",
        "clusterName": "the cluster changes",
        "instanceTypes": "the instance types change",
        "nodeRoleArn": "the role of the nodes is replaced",
        "subnetIds": "the subnets change",
        "version": "the Kubernetes version changes",
    },
    LAUNCH_TEMPLATE: {
        "blockDeviceMappings": "the disks of the nodes change",
        "metadataOptions": "the metadata options of the nodes change",
        "tagSpecifications": "the tags of the instances change",
        "userData": "the configuration of the nodes changes",
    },
    RUNNER: {
        "groupId": "the GitLab group changes",
        "projectId": "the GitLab project changes",
        "runnerType": "the runner moves between a group and a project",
    },
    RELEASE: {"namespace": "the namespace changes"},
    NAMESPACE: {"metadata": "the name changes"},
    REPOSITORY: {"encryptionConfigurations": "the encryption changes", "name": "the name changes"},
}
"""By type and property."""

_MOST_CAUSES = 4


class Causes:
    """The causes of the changes of one preview."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self._changes = {change.urn: change for change in changes}

    def because(self, change: Change) -> str:
        """The end of the sentence that the resource is replaced; empty if nothing is known."""
        found = list(dict.fromkeys(self._of(change)))
        return f" because {some(found, _MOST_CAUSES)}" if found else ""

    def carried(self, change: Change, path: str) -> str | None:
        """The cause that this property only passes on; None for a property that speaks for itself."""
        if change.type != RUNNER or path != _NOTE:
            return None
        return some(list(dict.fromkeys(self._of_note(change))), _MOST_CAUSES)

    def siblings(self, change: Change, kind: str) -> Iterator[Change]:
        """The changes of this type in the same component."""
        return (each for each in self._changes.values() if each.type == kind and each.parent == change.parent)

    def used(self, change: Change, kind: str) -> Iterator[Change]:
        """The changes of this type that the resource depends on."""
        return (each for urn, each in self._changes.items() if urn in change.dependencies and each.type == kind)

    def users(self, change: Change, kind: str) -> Iterator[Change]:
        """The changes of this type that depend on the resource."""
        return (each for each in self._changes.values() if each.type == kind and change.urn in each.dependencies)

    def _of(self, change: Change) -> Iterator[str]:
        if change.operation is not Operation.REPLACE:
            return
        for found in change.properties:
            if not found.replaces:
                continue
            if change.type == RUNNER and found.path == _NOTE:
                yield from self._of_note(change)
            elif change.type == NODE_GROUP and found.top == "launchTemplate":
                yield from self._of_template(change)
            else:
                yield _WORDS.get(change.type, {}).get(found.top) or f"{code(found.path)} cannot change in place"

    def _of_note(self, change: Change) -> Iterator[str]:
        groups = [each for each in self.used(change, NODE_GROUP) if each.operation is Operation.REPLACE]
        for group in groups:
            yield from self._of(group)
        renamed = any(each.operation is Operation.REPLACE for each in self.siblings(change, NAMESPACE))
        if renamed:
            yield "the namespace changes"
        if not groups and not renamed:
            yield "the runner's maintenance note was edited in GitLab"

    def _of_template(self, change: Change) -> Iterator[str]:
        words = _WORDS[LAUNCH_TEMPLATE]
        found = [each for template in self.used(change, LAUNCH_TEMPLATE) for each in template.properties]
        yield from (words[each.top] for each in found if each.top in words)
        if not any(each.top in words for each in found):
            yield "the launch template changes"
