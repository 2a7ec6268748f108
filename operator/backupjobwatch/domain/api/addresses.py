"""Which addresses webhooks are not sent to: those that mean this machine, or what clouds trust their machines with."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

REFUSED: Final[tuple[IPv4Network | IPv6Network, ...]] = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, with the metadata services of Azure, AWS, Google, …
        "168.63.129.16/32",  # Azure's WireServer: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
        "100.100.100.200/32",  # Alibaba's metadata service
        "192.0.0.0/24",  # the IETF's, and Oracle's metadata service
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "::/96",  # unspecified, loopback, IPv4-compatible
        "64:ff9b:1::/48",  # local NAT64, whose form is unknown
        "2001::/32",  # Teredo
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local, of old
        "ff00::/8",  # multicast
        "fd00:ec2::254/128",  # AWS's metadata service
        "fd20:ce::254/128",  # Google's metadata service
        "fd00:c1::a9fe:a9fe/128",  # Oracle's metadata service
        "fd00:42::42/128",  # Scaleway's metadata service
    )
)
"""Private networks (RFC 1918, unique local addresses) are not among them: receivers live in the cluster."""

_EMBEDDING = {
    IPv6Network("::ffff:0:0/96"): 0,  # IPv4-mapped
    IPv6Network("::ffff:0:0:0/96"): 0,  # IPv4-translated
    IPv6Network("64:ff9b::/96"): 0,  # NAT64
    IPv6Network("2002::/16"): 80,  # 6to4
}
"""Networks of addresses that stand for one of IPv4, with the bits that follow on it."""


def is_refused(address: str, *, loopback: bool = False) -> bool:
    """Tell whether nothing is sent to *address*, as a socket has it; *loopback* lets this machine be reached."""
    try:
        ip = ip_address(address.partition("%")[0])  # a zone says through which interface
    except ValueError:
        return True
    if isinstance(ip, IPv6Address):
        ip = _embedded(ip) or ip
    if loopback and ip.is_loopback:
        return False
    return any(ip in network for network in REFUSED if network.version == ip.version)


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    for network, shift in _EMBEDDING.items():
        if ip in network:
            return IPv4Address(int(ip) >> shift & 0xFFFFFFFF)
    return None
