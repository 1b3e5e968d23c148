"""The platform as a component of a Pulumi package, with its settings as one object."""

from collections.abc import Mapping
from typing import Any, TypedDict

import pulumi

from components import platform
from stacks.parsing import parse
from stacks.problems import SettingsError


class PlatformArgs(TypedDict):
    """The inputs. They decide which resources exist, so none of them may be an output of a resource."""

    settings: dict[str, Any]
    """The settings, with the keys of `stacks/Pulumi.STACK.yaml` without the prefix `buildyard:`."""


class Platform(pulumi.ComponentResource):
    """All resources of one platform. The names of its resources begin with `buildyard-` and the stack's name."""

    registry_host: pulumi.Output[str]
    """The ECR registry's host."""
    repository_urls: pulumi.Output[dict[str, str]]
    """The URL of each repository."""
    push_role_arns: pulumi.Output[dict[str, str]]
    """The ARN of the role of builds, by trust tier."""

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:index:Platform", name, {}, opts)
        source = f"The platform {name}"
        try:
            declared = platform.declare(
                lambda: parse(args["settings"], source=source),
                stack=pulumi.get_stack(),
                source=source,
                opts=pulumi.ResourceOptions(parent=self),
            )
        except SettingsError as error:
            raise pulumi.RunError(str(error)) from None
        outputs: Mapping[str, Any] = declared.outputs
        self.registry_host = pulumi.Output.from_input(outputs["registry-host"])
        self.repository_urls = pulumi.Output.from_input(outputs["repository-urls"])
        self.push_role_arns = pulumi.Output.from_input(outputs["push-role-arns"])
        self.register_outputs(
            {
                "registryHost": self.registry_host,
                "repositoryUrls": self.repository_urls,
                "pushRoleArns": self.push_role_arns,
            }
        )
