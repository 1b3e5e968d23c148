"""A company's certificate authorities in one build namespace: for the jobs, and for the managers."""

from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as kubernetes

from components.company_network import CA_CONFIG_MAP, CA_FILE
from components.labels import kubernetes_labels


@dataclass(frozen=True, kw_only=True)
class AuthoritiesArgs:
    stack: str
    namespace: pulumi.Input[str]
    pem: str
    gitlab_url: str


class Authorities(pulumi.ComponentResource):
    """The ConfigMap that build pods mount, and the Secret that managers mount."""

    secret_name: pulumi.Output[str]
    """The name of the Secret, which another bundle changes, so that managers start with that."""

    def __init__(self, name: str, args: AuthoritiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:Authorities", name, {}, opts)
        self._name = name
        self._args = args
        self._create_config_map()
        self.secret_name = self._create_secret().metadata.name
        self.register_outputs({"secretName": self.secret_name})

    def _create_config_map(self) -> None:
        # One name for ever: a pod that waits for its node still finds it when the certificates change.
        kubernetes.core.v1.ConfigMap(
            f"{self._name}-{CA_CONFIG_MAP}",
            metadata={
                "name": CA_CONFIG_MAP,
                "namespace": self._args.namespace,
                "labels": kubernetes_labels(self._args.stack),
            },
            data={CA_FILE: self._args.pem},
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_secret(self) -> kubernetes.core.v1.Secret:
        # The runner trusts `HOST.crt` besides the system's authorities, and passes the chain of GitLab's certificate
        # to the helper: https://docs.gitlab.com/runner/configuration/tls-self-signed/
        return kubernetes.core.v1.Secret(
            f"{self._name}-{CA_CONFIG_MAP}",
            metadata={
                "name": f"{self._name}-ca-{sha256(self._args.pem.encode()).hexdigest()[:8]}",
                "namespace": self._args.namespace,
                "labels": kubernetes_labels(self._args.stack),
            },
            string_data={f"{urlsplit(self._args.gitlab_url).hostname}.crt": self._args.pem},
            opts=pulumi.ResourceOptions(parent=self),
        )
