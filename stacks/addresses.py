"""IP networks in CIDR notation: `10.0.0.0/16`, `fd00:ec2::/64`."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

from stacks.problems import refusal


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        close = _whole_network(text)
        hint = f"Did you mean {close}?" if close else "Write an address and its prefix length, such as 10.0.12.0/24."
        raise refusal(f"{text!r} is not a network: {error}", hint) from None


def _whole_network(text: str) -> str | None:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return None


Cidr = Annotated[
    str, Field(max_length=64), AfterValidator(_network), Field(json_schema_extra={"examples": ["10.0.12.0/24"]})
]
"""A network of IPv4 or IPv6. An address alone is a network of one."""
