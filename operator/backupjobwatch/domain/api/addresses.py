"""Addresses that webhooks must not use: loopback, link-local, and the metadata services of clouds."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

DENIED_NETWORKS: Final[tuple[IPv4Network | IPv6Network, ...]] = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # This host.
        "127.0.0.0/8",
        "169.254.0.0/16",  # Link-local, including the metadata services of Azure, AWS, and Google.
        "168.63.129.16/32",  # Azure's WireServer: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
        "100.100.100.200/32",  # Alibaba's metadata service.
        "192.0.0.0/24",  # IETF protocol assignments, including Oracle's metadata service.
        "224.0.0.0/4",  # Multicast.
        "240.0.0.0/4",  # Reserved, including broadcast.
        "::/96",  # Unspecified, loopback, IPv4-compatible.
        "64:ff9b:1::/48",  # Local-use NAT64, whose embedded address is at an unknown place.
        "2001::/32",  # Teredo.
        "fe80::/10",  # Link-local.
        "fec0::/10",  # Site-local (deprecated).
        "ff00::/8",  # Multicast.
        "fd00:ec2::254/128",  # AWS's metadata service.
        "fd20:ce::254/128",  # Google's metadata service.
        "fd00:c1::a9fe:a9fe/128",  # Oracle's metadata service.
        "fd00:42::42/128",  # Scaleway's metadata service.
    )
)
"""Private networks (RFC 1918, unique local addresses) are allowed, because receivers may run in the cluster."""

_EMBEDDING = {
    IPv6Network("::ffff:0:0/96"): 0,  # IPv4-mapped
    IPv6Network("::ffff:0:0:0/96"): 0,  # IPv4-translated
    IPv6Network("64:ff9b::/96"): 0,  # NAT64
    IPv6Network("2002::/16"): 80,  # 6to4
}
"""IPv6 networks that embed an IPv4 address, with the number of bits after it."""


def is_refused(address: str, *, loopback: bool = False) -> bool:
    """Return whether webhooks must not use *address*. *loopback* allows loopback addresses."""
    try:
        ip = ip_address(address.partition("%")[0])  # Without the zone.
    except ValueError:
        return True
    if isinstance(ip, IPv6Address):
        ip = _embedded(ip) or ip
    if loopback and ip.is_loopback:
        return False
    return any(ip in network for network in DENIED_NETWORKS if network.version == ip.version)


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    for network, shift in _EMBEDDING.items():
        if ip in network:
            return IPv4Address(int(ip) >> shift & 0xFFFFFFFF)
    return None
