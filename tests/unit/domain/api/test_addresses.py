"""Addresses that webhooks must not reach."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupjobwatch.domain.api.addresses import is_refused

METADATA = ["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192"]
THIS_HOST = ["127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3"]
OTHERS = ["224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "169.254.0.1"]
SIX = [
    "::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254",
    "fd00:c1::a9fe:a9fe", "fd00:42::42",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "64:ff9b:1::a9fe:a9fe", "::a00:1",
]  # fmt: skip
ALLOWED = [
    "10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.10", "20.50.2.1", "8.8.8.8", "168.63.129.15", "fd12:3456::1",
    "2606:4700::1111", "fd00:ec2::253",
]  # fmt: skip


def _forms(address: str) -> list[str]:
    """Return the IPv6 forms that embed or translate an IPv4 address."""
    number = int(ipaddress.IPv4Address(address))
    high, low = number >> 16, number & 0xFFFF
    return [f"::ffff:{address}", f"::ffff:0:{address}", f"64:ff9b::{address}", f"2002:{high:x}:{low:x}::1"]


@pytest.mark.parametrize("address", [*METADATA, *THIS_HOST, *OTHERS, *SIX])
def test_refused(address: str) -> None:
    """Loopback, link-local, multicast, reserved and cloud metadata addresses are refused."""
    assert is_refused(address)


@pytest.mark.parametrize("form", [form for address in [*METADATA, *THIS_HOST, *OTHERS] for form in _forms(address)])
def test_refused_ipv6_forms(form: str) -> None:
    """IPv6 forms of the refused IPv4 addresses are refused too."""
    assert is_refused(form)


@pytest.mark.parametrize("address", [*ALLOWED, *(form for form in _forms("10.0.0.1"))])
def test_allowed(address: str) -> None:
    """Private and public addresses are allowed."""
    assert not is_refused(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "1.2.3.4.5", "x" * 100, "[::1]"])
def test_no_address(text: str) -> None:
    """Text that is not an IP address is refused."""
    assert is_refused(text)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_development(address: str) -> None:
    """``loopback=True`` allows loopback addresses and nothing else."""
    assert not is_refused(address, loopback=True)
    assert all(is_refused(other, loopback=True) for other in [*METADATA, *OTHERS, "::", "0.0.0.0"])


@given(st.ip_addresses())
def test_any(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Every address that Python classifies as loopback, link-local, multicast or unspecified is refused."""
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        assert is_refused(str(address))
