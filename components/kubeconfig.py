"""How Pulumi reaches the cluster: as whoever runs it is towards AWS, by a token that lives for minutes."""

import json


def kubeconfig(*, cluster_name: str, endpoint: str, certificate_authority: str, region: str) -> str:
    """A kubeconfig, as JSON, that holds no credentials: it asks the AWS CLI for a token.

    `certificate_authority` is base64, as EKS gives it.
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
