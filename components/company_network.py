"""A company's proxy and certificate authorities, as runner managers and jobs get them: pure functions."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from components.network_policy import METADATA, POD_IDENTITY_AGENT
from stacks import certificates
from stacks.cluster import Destination, Network
from stacks.names import CA_VARIABLE, PROXY_VARIABLE
from stacks.network import Proxy, host_and_port
from stacks.problems import Notice

CA_CONFIG_MAP = "ca-bundle"
"""The ConfigMap in each build namespace that build pods mount. Its certificates change in place."""

CA_FILE = "ca.pem"
CA_FOLDER = "/etc/buildyard/ca"

_AGENTS = tuple(network.partition("/")[0] for network in (*METADATA, *POD_IDENTITY_AGENT))
DIRECT = (
    *("localhost", "127.0.0.1", "::1"),
    *_AGENTS,
    *(f"[{address}]" for address in _AGENTS if ":" in address),  # as in URLs, for programs that compare those
    *(".svc", ".cluster.local"),
)
"""Hosts that no proxy may see or can reach: the node's agents, which give out credentials, and cluster services."""


def proxy_variables(proxy: Proxy | None, *, services: Sequence[str]) -> dict[str, str]:
    """The variables by which programs find the proxy. `services` are the networks of the cluster's services.

    Programs differ in the case that they read: curl and libcurl read `http_proxy` only.
    """
    if proxy is None:
        return {}
    direct = ",".join(dict.fromkeys((*DIRECT, *services, *proxy.no_proxy)))
    named = {"HTTP_PROXY": proxy.http, "HTTPS_PROXY": proxy.https, "NO_PROXY": direct}
    given = {name: value for name, value in named.items() if value}
    return {**given, **{name.lower(): value for name, value in given.items()}}


def job_variables(proxy: Proxy | None, ca_bundle: str | None, *, services: Sequence[str]) -> dict[str, str]:
    """The variables of each job: the proxy, and where the authorities are."""
    return {
        **proxy_variables(proxy, services=services),
        **({PROXY_VARIABLE: "true"} if proxy else {}),
        **({CA_VARIABLE: f"{CA_FOLDER}/{CA_FILE}"} if ca_bundle else {}),
    }


def ca_volume() -> dict[str, Any]:
    """The volume with the authorities, in `config.toml`."""
    return {"name": CA_CONFIG_MAP, "mount_path": CA_FOLDER, "read_only": True}


def proxy_destinations(proxy: Proxy | None) -> list[Destination]:
    """The proxies whose address is known, for the network policy, which knows no names."""
    known = (host_and_port(url) for url in (proxy.urls if proxy else ()))
    return [Destination(cidr=_network(host), ports=(port,)) for host, port in known if is_address(host)]


def notices(network: Network, now: datetime, *, registry_host: str, vpc_endpoints: Sequence[str]) -> Iterator[Notice]:
    """Warnings for the reader of a preview: authorities that expire, and how pods reach the proxy and ECR."""
    for name, end in certificates.expiring(network.ca_bundle or "", now) if network.ca_bundle else ():
        verb = "expires" if end > now else "expired"
        yield Notice(
            message=f"buildyard:network.ca-bundle: the authority {name} {verb} on {end:%Y-%m-%d}",
            hint="Replace it in time.",
        )
    opened = {port for each in network.allow for port in each.ports}
    for host, port in map(host_and_port, network.proxy.urls if network.proxy else ()):
        if not is_address(host) and port not in opened:
            yield Notice(
                message=f"buildyard:network.proxy: if {host} has an address in the VPC, the network policy closes it: "
                "it knows no names",
                hint=f"Add the address to buildyard:network.allow with the port {port}.",
            )
    direct = network.proxy.no_proxy if network.proxy else ()
    if network.proxy and vpc_endpoints and not any(registry_host.endswith(each) for each in direct):
        domain = registry_host.partition(".")[2]
        yield Notice(
            message="buildyard:network.proxy: the VPC has endpoints for AWS services, but images would go through the "
            "proxy",
            hint=f"Add .{domain} and the names of the others to no-proxy: see docs/network.md.",
        )


def is_address(host: str) -> bool:
    """Whether a host is an IP address, and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _network(address: str) -> str:
    return f"{address}/{ip_address(address).max_prefixlen}"


def image_values(repository: str | None, tag: str) -> Mapping[str, str]:
    """The chart's values for an image: the chart joins a registry and a name."""
    if repository is None:
        return {"tag": tag}
    registry, _, image = repository.partition("/")
    return {"registry": registry, "image": image, "tag": tag}
