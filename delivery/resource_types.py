"""The types of resources, as previews name them, that more than one part of the note looks for."""

LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
NAMESPACE = "kubernetes:core/v1:Namespace"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
RELEASE = "kubernetes:helm.sh/v3:Release"
REPOSITORY = "aws:ecr/repository:Repository"
ROLE = "aws:iam/role:Role"
RUNNER = "gitlab:index/userRunner:UserRunner"
