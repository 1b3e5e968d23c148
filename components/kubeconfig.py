"""Pulumi's access to the cluster: the deployer's AWS identity, with a token that is valid for minutes."""

import json


def kubeconfig(*, cluster_name: str, endpoint: str, certificate_authority: str, region: str) -> str:
    """A kubeconfig as JSON. It contains no credentials: its user gets a token from the AWS CLI.

    `certificate_authority` is base64, as EKS returns it.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/create-kubeconfig.html
    """
    login = ["--region", region, "eks", "get-token", "--cluster-name", cluster_name, "--output", "json"]
    token = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": login}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster_name,
                    "cluster": {"server": endpoint, "certificate-authority-data": certificate_authority},
                }
            ],
            "users": [{"name": cluster_name, "user": {"exec": token}}],
            "contexts": [{"name": cluster_name, "context": {"cluster": cluster_name, "user": cluster_name}}],
            "current-context": cluster_name,
        }
    )
