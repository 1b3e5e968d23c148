"""Checks of the build nodes: their instance types, and whether every job fits one of them."""

from functools import partial

import pulumi_aws as aws

from components.preflight.checks import Check
from components.preflight.parallel import together
from stacks.settings import Settings
from stacks.sizing import InstanceType, check_fit


def check_nodes(settings: Settings) -> tuple[dict[str, InstanceType], Check]:
    """Look up the instance types, and check that the jobs fit them. A type that EC2 does not have is left out."""
    check = Check(title="Instance types of build nodes")
    places: dict[str, str] = {}
    for architecture, nodes in settings.nodes.items():
        for position, name in enumerate(nodes.instance_types):
            places.setdefault(name, f"buildyard:nodes.{architecture}.instance-types[{position}]")
    hint = "Use instance types that EC2 has in this region."
    answers = together(
        partial(check.ask, partial(_instance_type, name), path=path, hint=hint) for name, path in places.items()
    )
    known = {name: answer for name, answer in zip(places, answers, strict=True) if answer is not None}
    check.found = ", ".join(known)
    if known.keys() == places.keys():
        check.problems += check_fit(settings, known)
    return known, check


def _instance_type(name: str) -> InstanceType:
    found = aws.ec2.get_instance_type(instance_type=name)
    return InstanceType(
        vcpus=found.default_vcpus,
        memory_mib=found.memory_size,
        architectures=tuple(found.supported_architectures),
        network_interfaces=found.maximum_network_interfaces,
        addresses_per_interface=found.maximum_ipv4_addresses_per_interface,
    )
