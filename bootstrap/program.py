"""The wiring of the bootstrap project: from its settings and lookups to resources and outputs."""

from collections.abc import Callable

import pulumi
import pulumi_aws as aws

from bootstrap.lookups import TAG, Lookups, look_up
from bootstrap.role_documents import AUDIENCE
from bootstrap.settings import Loaded
from bootstrap.stack_access import StackAccess, StackAccessArgs
from bootstrap.state import ALIAS, StateBackend, StateBackendArgs
from bootstrap.targets import Stack
from stacks.problems import SettingsError

NAME = "buildyard"


def deploy(load: Callable[[], Loaded]) -> None:
    """Declare what the settings of an account describe, and export what the stacks' pipeline needs to know.

    Wrong settings end the program before the first resource. The message contains all problems.
    """
    try:
        loaded = load()
        found = look_up(loaded)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    region = pulumi.Config("aws").require("region")
    tags = {TAG: pulumi.get_stack(), **loaded.bootstrap.tags}
    backend = StateBackend(
        f"{NAME}-state",
        StateBackendArgs(bucket=loaded.bootstrap.bucket, partition=found.account.partition, tags=tags),
    )
    provider = found.provider_arn or _create_provider(loaded, tags).arn
    pulumi.export("backend-url", pulumi.Output.concat("s3://", backend.bucket, "?region=", region))
    pulumi.export("secrets-provider", f"awskms://{ALIAS}?region={region}")
    pulumi.export("roles", {stack: _grant(stack, loaded, found, backend, provider, tags) for stack in loaded.stacks})


def _create_provider(loaded: Loaded, tags: dict[str, str]) -> aws.iam.OpenIdConnectProvider:
    gitlab = loaded.bootstrap.gitlab
    return aws.iam.OpenIdConnectProvider(
        f"{NAME}-gitlab",
        url=gitlab.url,
        client_id_lists=[AUDIENCE],
        # Without one, IAM trusts public certificate authorities. It never uses one for a certificate of theirs.
        thumbprint_lists=list(gitlab.thumbprints) or None,
        tags=tags,
        # An account has only one for each GitLab, so others may use it, too.
        opts=pulumi.ResourceOptions(protect=True),
    )


def _grant(
    name: str,
    loaded: Loaded,
    found: Lookups,
    backend: StateBackend,
    provider_arn: pulumi.Input[str],
    tags: dict[str, str],
) -> dict[str, pulumi.Output[str]]:
    """Create the roles of one stack, and return their ARNs by purpose."""
    settings = loaded.bootstrap
    args = StackAccessArgs(
        stack=Stack(
            name=name,
            account=found.account,
            region=loaded.regions[name],
            settings=loaded.stacks[name],
            others=[other for other in settings.stacks if other != name],
        ),
        gitlab=settings.gitlab,
        provider_arn=provider_arn,
        bucket=settings.bucket,
        key_arn=backend.key_arn,
        iam=settings.iam,
        tags=tags,
    )
    access = StackAccess(f"{NAME}-{name}", args)
    return {str(purpose): arn for purpose, arn in access.role_arns.items()}
