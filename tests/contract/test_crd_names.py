"""Compare the CRD's name rules with the code's, without a cluster."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.api.notify_spec import is_object_name, is_url, parse_notify
from backupjobwatch.domain.api.target import parse_identity
from backupjobwatch.domain.jobs.resource_ids import JobId, is_guid, is_operation_id, is_resource_group, is_vault_name
from backupjobwatch.errors import InvalidSpec
from tests.property.oracles import object_schema, walk
from tests.support.builders import JOB_ID, JOB_NAME, RESOURCE_GROUP, VAULT

if TYPE_CHECKING:
    from collections.abc import Callable


def _is_job_id(text: str) -> bool:
    try:
        JobId.parse(text)
    except ValueError:
        return False
    return True


def _is_identity(kind: str) -> Callable[[str], bool]:
    def is_valid(name: str) -> bool:
        try:
            parse_identity({kind: name})
        except InvalidSpec:
            return False
        return True

    return is_valid


def _is_entry(name: str) -> bool:
    return bool(parse_notify({"notify": [{"name": name}]}))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("spec.jobResourceId", _is_job_id),
        ("spec.jobName", is_guid),
        ("spec.operationId", is_operation_id),
        ("spec.identity.serviceAccountName", _is_identity("serviceAccountName")),
        ("spec.identity.secretName", _is_identity("secretName")),
        ("spec.notify[].name", _is_entry),
        ("spec.notify[].webhook.url", is_url),
        ("spec.notify[].webhook.secretName", is_object_name),
        ("spec.notify[].flux.name", is_object_name),
        ("spec.notify[].argocd.application", is_object_name),
        ("spec.vault.subscriptionId", is_guid),
        ("spec.vault.resourceGroup", is_resource_group),
        ("spec.vault.name", is_vault_name),
    ],
)
def test_patterns(path: str, code: Callable[[str], bool]) -> None:
    """The CRD and the code accept the same names."""
    rule, *_ = dict(walk(object_schema()["properties"]["spec"], "spec"))[path]["x-kubernetes-validations"]
    pattern = _as_python(rule["rule"])
    words = ["", "a", "ab", "1a", "a.", ".", "..", "a_b", "a(b)", "größe", "資源", "a" * 50, "a" * 51, "a" * 90, "½", "a b",
             "a/b", "a?b", "a#b", "a%2f", "a\\b", "a\n", JOB_NAME, JOB_NAME.upper(), f"{JOB_NAME}0"]  # fmt: skip
    texts = [*words, *(JOB_ID.replace(part, word) for part in (RESOURCE_GROUP, VAULT, JOB_NAME) for word in words)]
    texts += ["MDl;lNz", "MDllNz==", "A+b_c-9", "sa.team-a", "-a", "a-", ".a", "a..b", "A"]
    texts += [
        JOB_ID.replace("RecoveryServices/vaults", "DataProtection/backupVaults"),
        JOB_ID.replace("vaults", "backupVaults"),
    ]
    texts += [f"{scheme}://{rest}" for scheme in ("http", "https", "HTTPS", "ftp") for rest in _URLS]
    texts += [JOB_ID.upper(), f"{JOB_ID}/", f"https://management.azure.com{JOB_ID}"]

    assert [text for text in texts if bool(pattern.search(text)) is not code(text)] == []


_URLS = [
    "h", "h/", "h.example.com:8443/hook?a=b&c=d", "[::1]/", "[fe80::1]:80", "10.0.0.1", "u@h/", "u:p@h/", "h/a@b", "h#f",
    "h/#f", "h/?#f", "h/a b", "h/ä", "h:/", "h:123456/", "", "/x", "h\\x", "h/\\x", "h?x", "h_1/", "h/\t", "h/\n", "h/\x7f",
]  # fmt: skip


def _as_python(rule: str) -> re.Pattern[str]:
    r"""Return the regular expression of a CEL rule, with \p classes expanded and $ as strict as in RE2."""
    match = re.fullmatch(r"self\.matches\('(.+)'\)", rule.strip())
    assert match is not None
    text = match[1].replace("\\\\", "\\").replace(r"\p{L}\p{Nd}", _letters_and_digits())
    return re.compile(text.removesuffix("$") + r"\Z")


@cache
def _letters_and_digits() -> str:
    def is_in(code: int) -> bool:
        return unicodedata.category(chr(code)) in {"Lu", "Ll", "Lt", "Lm", "Lo", "Nd"}

    starts = [code for code in range(1, sys.maxunicode) if is_in(code) and not is_in(code - 1)]
    ends = [code for code in range(1, sys.maxunicode) if is_in(code) and not is_in(code + 1)]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))
