"""Sanitizing external text: printable, bounded and without secrets."""

from __future__ import annotations

import pytest

from backupjobwatch.domain.jobs.text import ELLIPSIS, sanitize

BLOB = "https://stgdemo01.blob.core.windows.net/vhds/disk.vhd"
SAS = "sv=2022-11-02&sr=b&se=2026-03-05&sig=SECRET%2Bvalue%3D"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJTRUNSRVQifQ.SECRET-signature_"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        ("plain", "plain"),
        ("  two   words ", "two words"),
        ("Item not found.\r\nSelected item might have been deleted.", "Item not found. Selected item might have been deleted."),
        ("a\tb\nc", "a b c"),
        ("a\u0000b", "a b"),
        ("a\u2028b", "a b"),
        ("\ud800", ""),
        ("größe 資源 😀", "größe 資源 😀"),
    ],
)  # fmt: skip
def test_one_printable_line(text: str, cleaned: str) -> None:
    """Any text becomes one printable line; letters of every script are kept."""
    assert sanitize(text, 256) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "\u001b[31mred\u001b[0m",
        "\u001b]0;title\u0007",
        "\u009b31m",
        "\u202egnp.exe",
        "a\u200bb\ufeff",
        "\b\b\b",
        "\u007f",
    ],
)
def test_terminal_escapes(text: str) -> None:
    """Terminal escapes, direction overrides and invisible characters are removed."""
    assert sanitize(text, 256).isprintable()


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("abcd", 4, "abcd"),
        ("abcde", 4, f"abc{ELLIPSIS}"),
        ("x" * 5000, 256, "x" * 255 + ELLIPSIS),
        ("😀" * 5, 4, "😀😀😀" + ELLIPSIS),
        ("a  b", 3, "a b"),
    ],
)
def test_cut(text: str, limit: int, cut: str) -> None:
    """A text that is too long is truncated to the limit in characters, including the ellipsis."""
    assert sanitize(text, limit) == cut


def test_truncated_white_space() -> None:
    """A truncated text ends in an ellipsis, even if all of its truncated part is white space."""
    assert sanitize(f"begin{' ' * 9000}end", 256).endswith(("end", ELLIPSIS))


@pytest.mark.parametrize(
    "text",
    [
        f"{BLOB}?{SAS}",
        f"{BLOB.upper()}?{SAS.upper()}",
        f"see {BLOB}?{SAS}.",
        f'<a href="{BLOB}?{SAS}">disk</a>',
        f"'{BLOB}?{SAS}'",
        f"({BLOB}?{SAS})",
        f"{BLOB}?{SAS} and {BLOB}?{SAS}",
        f"{BLOB}?view=1&{SAS}",
        f"{BLOB}?{SAS}#part",
        f"http://host/op?t=SECRET&c=SECRET&s=SECRET&h=SECRET",  # noqa: F541
        f"{BLOB}?SECRET",
        f"{BLOB}?={SAS}",
        f"{BLOB}?\u200b{SAS}",
    ],
)
def test_signed_urls(text: str) -> None:
    """The query of a signed URL (SAS, operation status) is redacted. The host stays for troubleshooting."""
    cleaned = sanitize(text, 1024)

    assert "secret" not in cleaned.lower()
    assert "?[…]" in cleaned


@pytest.mark.parametrize(
    "text",
    [
        f"https://stgdemo01.blob.core.windows.net/vhds/it's.vhd?{SAS}",
        f"https://stgdemo01.table.core.windows.net/jobs(PartitionKey='a')?{SAS}",
        f"{BLOB}?comment='x'&{SAS}",
        f"source_{BLOB}?{SAS}",
    ],
)
def test_odd_signed_urls(text: str) -> None:
    """A signature is redacted even if the URL has an apostrophe or directly follows a word."""
    assert "SECRET" not in sanitize(text, 1024)


@pytest.mark.parametrize(
    "text",
    [
        f"?{SAS}",
        f"SAS token: {SAS}",
        "https://user:SECRET@host/path",
        "smb://user:SECRET@host/share",
        "Server=sql;User Id=sa;Password=SECRET;",
        "AccountName=stgdemo01;AccountKey=SECRET==;EndpointSuffix=core.windows.net",
        "client_secret=SECRET&grant_type=client_credentials",
        "https://host/#access_token=SECRET",
        "Server=sql;User Id=sa;Password = SECRET;",
        'Server=sql;User Id=sa;Password="SECRET";',
        "Server=sql;User Id=sa;Password='SECRET';",
        'Request failed: {"signature": "SECRET"}',
    ],
)
def test_other_signatures(text: str) -> None:
    """A signature without its URL, a password and a key are redacted too."""
    assert "SECRET" not in sanitize(text, 1024)


@pytest.mark.parametrize(
    "url",
    [
        "https://go.microsoft.com/fwlink/?LinkId=808978",
        "https://go.microsoft.com/fwlink/?linkid=808978&clcid=0x409",
        "https://learn.microsoft.com/azure/backup/backup-azure-vms?view=azs&tabs=cli",
        "https://aka.ms/ARMResourceNotFoundFix",
        "https://aka.ms/fix?",
    ],
)
def test_documentation_links(url: str) -> None:
    """Links to Microsoft's documentation are kept, because they are part of the recommendations."""
    assert sanitize(f"See {url} for help.", 1024) == f"See {url} for help."


@pytest.mark.parametrize(
    "text",
    [JWT, f"Bearer {JWT}", f"token={JWT};", f'{{"id_token":"{JWT}"}}', f"{JWT} {JWT}", JWT.rsplit(".", 1)[0]],
)
def test_tokens(text: str) -> None:
    """A JSON web token is redacted, signed or not."""
    cleaned = sanitize(text, 1024)

    assert "eyJ" not in cleaned
    assert "SECRET" not in cleaned
    assert "[token]" in cleaned


def test_secret_at_the_cut() -> None:
    """Secrets are redacted before the text is truncated, so that no part of one remains."""
    for padding in range(200, 260):
        cleaned = sanitize(f"{'x' * padding} {JWT} {BLOB}?{SAS}", 256)
        assert "eyJ" not in cleaned
        assert "SECRET" not in cleaned


def test_clean_twice() -> None:
    """Sanitizing a sanitized text does not change it."""
    once = sanitize(f"\u001b[1m {BLOB}?{SAS} {JWT} {'x' * 300}", 200)

    assert sanitize(once, 200) == once


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("net.tcp://pod01-prot.internal:9443/Svc/a?b failed", "[internal address] failed"),
        ("Endpoint 'NET.PIPE://localhost/x' is gone", "Endpoint '[internal address]' is gone"),
        ("no answer from 10.11.12.13.", "no answer from [internal address]."),
        ("dial tcp 10.0.0.4:443: i/o timeout", "dial tcp [internal address]: i/o timeout"),
        ("https://10.1.2.3:8443/x failed", "https://[internal address]/x failed"),
        ("(172.16.0.1),(172.31.255.255)", "([internal address]),([internal address])"),
        ("192.168.1.1, 169.254.169.254, 127.0.0.1, 100.64.0.9", ", ".join(["[internal address]"] * 4)),
        ("fd00::12 and fe80::1%eth0 and ::1", "[internal address] and [internal address] and [internal address]"),
        (
            "ip_10.1.2.3 v10.1.2.3 host10.1.2.3:443",
            "ip_[internal address] v[internal address] host[internal address]",
        ),
        ("ip_fd00::12 at_net.tcp://pod01/x", "ip_[internal address] at_[internal address]"),
        ("10.1.2.3ms, 10.1.2.3_b", "[internal address]ms, [internal address]_b"),
        ("[fd12:3456:789a:1:2:3:4:5]:443", "[[internal address]]:443"),
    ],
)
def test_internal_addresses(text: str, redacted: str) -> None:
    """Private network addresses are redacted from free text, but kept in names that are compared."""
    assert sanitize(text, 1024, redact_addresses=True) == redacted
    assert sanitize(text, 1024) == text
    assert sanitize(redacted, 1024, redact_addresses=True) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "20.40.60.80 168.63.129.16 172.15.0.1 172.32.0.1 192.169.0.1 100.128.0.1 100.63.0.1 11.0.0.1",
        "Windows 10.0.17763.1 and 10.0.20348",
        "1.10.2.0.1 and 10.2.0.1.5 and 10.2.0.1234",
        "2026-03-04T01:00:00.1234567Z",
        "fc:aa:15:00:00:01:22 fd00 f00d:: 2001:db8::1 C::1D",
        "d0d00001-5e1f-4000-8000-000000000001",
        "See https://aka.ms/x. Then retry. Then call.",
    ],
)
def test_other_addresses(text: str) -> None:
    """Public addresses, versions, times and IDs are kept."""
    assert sanitize(text, 1024, redact_addresses=True) == text


def test_long_text_with_addresses() -> None:
    """A long text that looks like addresses is sanitized in time linear to the limit."""
    for part in ("10.0.0.", "fd00:", "::1", "net.tcp://", "1."):
        assert len(sanitize(part * 10**6, 256, redact_addresses=True)) <= 256
