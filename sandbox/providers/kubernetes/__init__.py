"""The kubernetes provider: pulumi-kubernetes's kinds that Buildyard uses, over plain HTTP to the sandbox's cluster."""

from functools import partial

from sandbox.providers.framework import Property, Provider
from sandbox.providers.kubernetes.cluster import Cluster, KubernetesError, connect
from sandbox.providers.kubernetes.objects import OBJECT_KINDS
from sandbox.providers.kubernetes.release import Release

VERSION = "4.34.2"  # of the pulumi-kubernetes whose schema this follows
_CONFIGURATION = (
    "alwaysRender",
    "cluster",
    "clusterIdentifier",
    "context",
    "deleteUnreachable",
    "enableConfigMapMutable",
    "enablePatchForce",
    "enableSecretMutable",
    "enableServerSideApply",
    "helmReleaseSettings",
    "kubeClientSettings",
    "kubeconfig",
    "namespace",
    "renderYamlToDirectory",
    "skipUpdateUnreachable",
    "suppressDeprecationWarnings",
    "suppressHelmHookWarnings",
    "upsertExistingObjects",
)


def provider(kubernetes_url: str) -> Provider[Cluster]:
    """The provider; every cluster of the sandbox's EKS is the Kubernetes at `kubernetes_url`."""
    return Provider(
        name="kubernetes",
        version=VERSION,
        connect=partial(connect, kubernetes_url),
        kinds=(*(kind() for kind in OBJECT_KINDS), Release()),
        # With an identifier, nothing else replaces resources.
        # https://www.pulumi.com/registry/packages/kubernetes/api-docs/provider/#clusteridentifier_python
        configuration={name: Property(replaces=name == "clusterIdentifier") for name in _CONFIGURATION},
        is_missing=lambda error: isinstance(error, KubernetesError) and error.code == 404,
    )
