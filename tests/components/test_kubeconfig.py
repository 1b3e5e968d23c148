"""The kubeconfig of the Kubernetes provider."""

import json

from components.kubeconfig import kubeconfig


def test_the_kubeconfig_gets_its_tokens_from_the_aws_cli() -> None:
    text = kubeconfig(
        cluster_name="ci", endpoint="https://cluster.example.com", certificate_authority="Y2E=", region="ap-east-1"
    )
    assert json.loads(text) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "ci",
                "cluster": {"server": "https://cluster.example.com", "certificate-authority-data": "Y2E="},
            }
        ],
        "users": [
            {
                "name": "ci",
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "command": "aws",
                        "args": [
                            *("--region", "ap-east-1", "eks", "get-token"),
                            *("--cluster-name", "ci", "--output", "json"),
                        ],
                    }
                },
            }
        ],
        "contexts": [{"name": "ci", "context": {"cluster": "ci", "user": "ci"}}],
        "current-context": "ci",
    }
