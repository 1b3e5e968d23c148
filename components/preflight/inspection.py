"""All checks of a stack together."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial

import pulumi

from components import company_network
from components.preflight.account import Account, check_rights, find_account
from components.preflight.checks import Check, RefusalError
from components.preflight.cluster import Cluster, find_cluster
from components.preflight.contexts import check_contexts
from components.preflight.gitlab import GitLab, check_version, find_runner_scope
from components.preflight.inventory import find_repositories, find_running_nodes, list_repositories
from components.preflight.kubernetes import check_kubernetes
from components.preflight.names import check_names
from components.preflight.nodes import check_nodes_for_managers, find_instance_types, list_node_groups
from components.preflight.parallel import Threads
from components.preflight.projects import check_projects
from components.preflight.quotas import Needs, check_quotas, list_roles
from stacks import neighbours
from stacks.problems import Notice, Problem
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The outcome of every check, in the order of a table, and what the checks found."""

    checks: tuple[Check, ...]
    account: Account | None
    cluster: Cluster | None
    gitlab: GitLab | None
    repositories: frozenset[str]
    """The names of the stack's repositories that exist, and are or become the stack's."""
    running_nodes: Mapping[str, int]
    """How many nodes run in each node group of the stack, by the group's name."""

    @property
    def problems(self) -> list[Problem]:
        """The problems of all checks. With one, nothing may be created."""
        return [problem for check in self.checks for problem in check.problems]

    @property
    def notices(self) -> list[Notice]:
        """The warnings of all checks."""
        return [notice for check in self.checks for notice in check.notices]


def inspect(settings: Settings, *, stack: str, source: str) -> Inspection:
    """Ask AWS, Kubernetes and GitLab about everything that the stack needs.

    Call it in a Pulumi program; it creates nothing.
    `source` is the stack's file, as published pipelines name it.
    """
    with Threads() as threads:
        of_account = threads.ask(partial(find_account, settings))
        of_cluster = threads.ask(partial(find_cluster, settings))
        of_types = threads.ask(partial(find_instance_types, settings))
        of_groups = threads.ask(partial(list_node_groups, settings.cluster.name))
        of_repositories = threads.ask(list_repositories)
        roles = threads.ask(list_roles)
        version = threads.ask(check_version)
        of_scope = threads.ask(partial(find_runner_scope, settings))
        of_projects = threads.ask(partial(check_projects, settings, source=source))
    account, whose = of_account.result()
    cluster, in_cluster = of_cluster.result()
    types, build_nodes = of_types.result()
    groups, repositories = of_groups.result(), of_repositories.result()
    scope, owner = of_scope.result()
    running, nodes = find_running_nodes(stack, groups)
    with_branch, projects = of_projects.result()
    needs = Needs(
        settings=settings,
        stack=stack,
        instance_types=types,
        node_groups=None if isinstance(groups, RefusalError) else list(groups),
        repositories=repositories,
        roles=roles.result(),
    )
    with Threads() as threads:
        inventory = threads.ask(partial(find_repositories, settings, stack, repositories))
        contexts = threads.ask(partial(check_contexts, with_branch))
        quotas = threads.ask(partial(check_quotas, needs, account)) if account else None
        deploying = not pulumi.runtime.is_dry_run()
        in_kubernetes = (
            threads.ask(partial(check_kubernetes, settings, cluster, running, deploying=deploying)) if cluster else None
        )
    taken_in, registry = inventory.result()
    checks = [
        check_names(settings, stack),
        _other_stacks(settings, stack),
        whose,
        *in_cluster,
        *(in_kubernetes.result() if in_kubernetes else ()),
        check_nodes_for_managers(settings.cluster.name, groups),
        build_nodes,
        nodes,
        registry,
        *([check_rights(settings, account)] if account else ()),
        *([quotas.result()] if quotas else ()),
        version.result(),
        owner,
        *projects,
        contexts.result(),
        *([_company_network(settings, account, cluster)] if account and cluster else ()),
    ]
    return Inspection(
        checks=tuple(checks),
        account=account,
        cluster=cluster,
        gitlab=scope,
        repositories=taken_in,
        running_nodes=running,
    )


def _company_network(settings: Settings, account: Account, cluster: Cluster) -> Check:
    """Check how jobs reach the company's proxy, and how long its authorities are valid."""
    network = settings.network
    named = [name for name, given in (("proxy", network.proxy), ("ca-bundle", network.ca_bundle)) if given]
    check = Check(title="Company network", found=", ".join(named) or "no proxy, no authorities")
    check.notices += company_network.notices(
        network,
        datetime.now(timezone.utc),
        registry_host=account.registry_host,
        vpc_endpoints=cluster.networks.vpc_endpoints,
    )
    return check


def _other_stacks(settings: Settings, stack: str) -> Check:
    """Check that no other stack in these files has the same names."""
    found = neighbours.collisions(stack, settings)
    same = len(found.problems) + len(found.notices)
    return Check(
        title="Other stacks",
        found=f"{same} equal names" if same else "no equal names",
        problems=list(found.problems),
        notices=list(found.notices),
    )
