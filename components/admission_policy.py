"""The pods that the API server admits to a build namespace, as a pure function that gives a ValidatingAdmissionPolicy.

A job cannot write its pod: `config.toml` decides. The policy holds if that goes wrong: a key of a newer runner that
lets jobs change more, a mistake in our configuration, or a stolen token of a manager.

The expressions are in CEL: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.labels import BUILD_POD, BUILDS, PAUSE_POD

BUILD_CONTAINERS = ("build", "init-build-uid-gid-collector")
"""The containers of a job's own image, as GitLab Runner names them. Both have the build's security context."""

TOKEN_AUDIENCES = ("pods.eks.amazonaws.com", "sts.amazonaws.com")
"""Who accepts the tokens that EKS mounts into a pod: Pod Identity, and IRSA. The Kubernetes API accepts neither."""

NODE_FAILURE_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""The API server makes every pod tolerate these for five minutes."""


@dataclass(frozen=True, kw_only=True)
class AdmissionRules:
    """The properties in which build namespaces differ."""

    namespace: str
    service_account: str
    """Of build pods."""
    managers: Sequence[str]
    """The service accounts of runner managers, whose pods are in the namespace too."""
    node_labels: Mapping[str, str]
    """The labels that a build pod's node selector must name."""
    config_maps: Sequence[str]
    """The ConfigMaps that build pods may mount."""
    host_folders: Sequence[str]
    """The folders of nodes that build pods may mount: as a whole, and no other pods."""
    user_namespaces: bool
    pause: "PausePods | None" = None
    """The pods that keep capacity warm, if there are any."""


@dataclass(frozen=True, kw_only=True)
class PausePods:
    """The pods that hold capacity until a job needs it. They do nothing, so they need no profiles."""

    image: str
    priority_class: str


def admission_policy(rules: AdmissionRules) -> dict[str, Any]:
    """The specification of the policy."""
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": rules.namespace}},
            "resourceRules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["pods", "pods/ephemeralcontainers"],
                }
            ],
        },
        "variables": [{"name": name, "expression": expression} for name, expression in _variables(rules).items()],
        "validations": [
            *_every_pod(rules),
            *(
                {**validation, "expression": f"variables.isManager || ({validation['expression']})"}
                for validation in _build_pod(rules)
            ),
            *(_pause_pod(rules.pause) if rules.pause else ()),
        ],
    }


def deployment_policy(rules: AdmissionRules) -> dict[str, Any]:
    """The specification of a second policy: the managers, which may create Deployments, create those of pause pods.

    Otherwise, whoever has a manager's token could let a controller create pods that look like a manager's.
    """
    of_pause_pods = f"object.spec.template.metadata.?labels[?{json.dumps(PAUSE_POD)}].orValue('') == 'true'"
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": rules.namespace}},
            "resourceRules": [
                {
                    "apiGroups": ["apps"],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["deployments"],
                }
            ],
        },
        "validations": [
            _rule(
                f"!request.userInfo.username.startsWith({_own_users(rules)}) || {of_pause_pods}",
                f"managers may create and change only Deployments of pods with the label {PAUSE_POD}",
            )
        ],
    }


def admission_binding(policy: str) -> dict[str, Any]:
    """The specification of the binding that puts a policy into effect."""
    return {"policyName": policy, "validationActions": ["Deny"]}


def _variables(rules: AdmissionRules) -> dict[str, str]:
    folders = "variables.volumes.filter(v, has(v.hostPath)).map(v, v.name)"
    is_pause = f"object.metadata.?labels[?{json.dumps(PAUSE_POD)}].orValue('') == 'true'" if rules.pause else "false"
    return {
        "containers": "object.spec.containers + object.spec.?initContainers.orValue([])",
        "volumes": "object.spec.?volumes.orValue([])",
        **({"hostFolders": folders} if rules.host_folders else {}),
        # Of the pod, for containers that say nothing.
        "nonRoot": "object.spec.?securityContext.?runAsNonRoot.orValue(false)",
        "user": "object.spec.?securityContext.?runAsUser.orValue(-1)",
        "seccomp": "object.spec.?securityContext.?seccompProfile.?type.orValue('')",
        "seLinux": "object.spec.?securityContext.?seLinuxOptions.?type.orValue('')",
        "appArmor": "object.spec.?securityContext.?appArmorProfile.?type.orValue('')",
        "isPause": is_pause,
        # A manager that somebody in the namespace starts is none of ours: managers create pods of jobs only.
        "isManager": f"object.spec.?serviceAccountName.orValue('') in {json.dumps(list(rules.managers))}"
        f" && !request.userInfo.username.startsWith({_own_users(rules)}) && !variables.isPause",
    }


def _own_users(rules: AdmissionRules) -> str:
    return json.dumps(f"system:serviceaccount:{rules.namespace}:")


def _every_pod(rules: AdmissionRules) -> Iterator[dict[str, str]]:
    yield _rule(
        "!object.spec.?hostNetwork.orValue(false) && !object.spec.?hostPID.orValue(false)"
        " && !object.spec.?hostIPC.orValue(false)",
        "the pod uses the network, processes or IPC of its node: remove hostNetwork, hostPID and hostIPC",
    )
    yield from _kinds_of_volumes(rules.host_folders)
    yield _of_containers("!c.?securityContext.?privileged.orValue(false)", "containers must not be privileged")
    yield _of_containers(
        "c.?securityContext.?capabilities.?add.orValue([]).size() == 0", "containers must not add capabilities"
    )
    yield _of_containers(
        "c.?securityContext.?procMount.orValue('Default') == 'Default'", "containers must not unmask /proc"
    )
    yield _of_containers(
        "c.?securityContext.?seLinuxOptions.?type.orValue(variables.seLinux) == ''",
        "containers must not choose their SELinux type",
    )
    yield _rule(
        "object.spec.?securityContext.?sysctls.orValue([]).size() == 0",
        "the pod sets parameters of the kernel: remove sysctls",
    )
    yield _of_containers(
        "variables.isPause || c.?securityContext.?runAsNonRoot.orValue(variables.nonRoot)"
        " && c.?securityContext.?runAsUser.orValue(variables.user) != 0",
        "containers must not run as root: set runAsNonRoot, and no runAsUser of 0",
    )
    yield _of_containers(
        "c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0)", "containers must not use ports of the node"
    )
    yield _rule(
        "object.spec.?ephemeralContainers.orValue([]).size() == 0",
        "ephemeral containers, as kubectl debug adds them, are not admitted",
    )
    yield _rule(
        "request.operation != 'CREATE' || !has(object.spec.nodeName)",
        "the pod chooses its node by name: remove nodeName, so that the scheduler obeys the nodes' taints",
    )
    yield _rule(
        "!object.spec.?priorityClassName.orValue('').startsWith('system-')",
        "the pod takes a priority of the system's pods: remove priorityClassName",
    )


def _kinds_of_volumes(host_folders: Sequence[str]) -> Iterator[dict[str, str]]:
    kinds = "has(v.emptyDir) || has(v.configMap) || has(v.secret) || has(v.projected) || has(v.downwardAPI)"
    message = "volumes may only be emptyDir, configMap, secret, projected or downwardAPI"
    if not host_folders:
        yield _of_volumes(kinds, message)
        return
    folders = f"has(v.hostPath) && v.hostPath.path in {json.dumps(list(host_folders))}"
    yield _of_volumes(
        f"{kinds} || ({folders} && !variables.isManager && !variables.isPause)",
        f"{message}, and in build pods the hostPath {', '.join(host_folders)}",
    )
    yield _of_containers(
        "c.?volumeMounts.orValue([]).all(m, !(m.name in variables.hostFolders)"
        " || (!has(m.subPath) && !has(m.subPathExpr)))",
        "containers must mount a hostPath as a whole: remove subPath and subPathExpr",
    )


def _build_pod(rules: AdmissionRules) -> Iterator[dict[str, str]]:
    yield _rule(
        f"object.spec.?serviceAccountName.orValue('') == {json.dumps(rules.service_account)}",
        f"the service account of a build pod must be {rules.service_account}",
    )
    yield _rule(
        f"variables.isPause || {json.dumps(BUILD_POD)} in object.metadata.?labels.orValue({{}})",
        f"the label {BUILD_POD} is missing, by which the network policy knows build pods",
    )
    for label, value in rules.node_labels.items():
        yield _rule(
            f"object.spec.?nodeSelector[?{json.dumps(label)}].orValue('') == {json.dumps(value)}",
            f"the node selector of a build pod must have {label}: {value}",
        )
    yield _rule(
        "object.spec.?tolerations.orValue([]).all(t, t.?key.orValue('') in "
        f"{json.dumps([BUILDS, *NODE_FAILURE_TAINTS])})",
        f"build pods may tolerate only the taint {BUILDS}",
    )
    yield _of_containers(
        f"variables.isPause || c.name in {json.dumps(list(BUILD_CONTAINERS))}"
        " || (c.?securityContext.?seccompProfile.?type.orValue(variables.seccomp) in ['RuntimeDefault', 'Localhost']"
        " && c.?securityContext.?appArmorProfile.?type.orValue(variables.appArmor) != 'Unconfined')",
        f"only the container {BUILD_CONTAINERS[0]} may run without seccomp and AppArmor profiles",
    )
    yield _of_volumes(
        "!has(v.secret) && (!has(v.projected) || v.projected.?sources.orValue([]).all(s, !has(s.secret)))",
        "build pods must not mount Secrets of the namespace, such as a runner's token",
    )
    yield _of_containers(
        "c.?env.orValue([]).all(e, !has(e.valueFrom) || !has(e.valueFrom.secretKeyRef))"
        " && c.?envFrom.orValue([]).all(e, !has(e.secretRef))",
        "build pods must not read Secrets of the namespace into variables, such as a runner's token",
    )
    yield _of_volumes(
        "!has(v.projected) || v.projected.?sources.orValue([]).all(s, !has(s.serviceAccountToken)"
        f" || s.serviceAccountToken.?audience.orValue('') in {json.dumps(list(TOKEN_AUDIENCES))})",
        "build pods must not have a token for the Kubernetes API",
    )
    yield _of_volumes(
        f"(!has(v.configMap) || v.configMap.?name.orValue('') in {json.dumps(list(rules.config_maps))})"
        " && (!has(v.projected) || v.projected.?sources.orValue([]).all(s, !has(s.configMap)))",
        "build pods must not mount ConfigMaps of the namespace"
        + (f", except {', '.join(rules.config_maps)}" if rules.config_maps else ""),
    )
    if rules.user_namespaces:
        yield _rule(
            "variables.isPause || !object.spec.?hostUsers.orValue(true)",
            "build pods must have a user namespace: set hostUsers to false",
        )


def _pause_pod(pause: PausePods) -> Iterator[dict[str, str]]:
    yield {
        **_of_containers(
            f"!variables.isPause || (c.image == {json.dumps(pause.image)} && c.?command.orValue([]).size() == 0"
            " && c.?args.orValue([]).size() == 0 && !has(c.lifecycle) && !has(c.livenessProbe)"
            " && !has(c.readinessProbe) && !has(c.startupProbe))",
            f"a pause pod may only run the image {pause.image} as it is",
        )
    }
    yield _rule(
        f"!variables.isPause || object.spec.?priorityClassName.orValue('') == {json.dumps(pause.priority_class)}",
        f"the priority class of a pause pod must be {pause.priority_class}",
    )


def _rule(expression: str, message: str) -> dict[str, str]:
    return {"expression": expression, "message": message, "reason": "Forbidden"}


def _of_containers(condition: str, message: str) -> dict[str, str]:
    """A rule for each container `c`, whose message names the containers that break it."""
    return _of_each("variables.containers", "c", condition, message)


def _of_volumes(condition: str, message: str) -> dict[str, str]:
    """A rule for each volume `v`, whose message names the volumes that break it."""
    return _of_each("variables.volumes", "v", condition, message)


def _of_each(collection: str, item: str, condition: str, message: str) -> dict[str, str]:
    offenders = f"{collection}.filter({item}, !({condition})).map({item}, {item}.name).join(', ')"
    return {
        **_rule(f"{collection}.all({item}, {condition})", message),
        "messageExpression": f"{json.dumps(message)} + ': ' + {offenders}",
    }
