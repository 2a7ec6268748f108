"""Reads the output of Azure's tools: text in any encoding of PowerShell, one ID per line, or JSON."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.payloads import lowercase_names

if TYPE_CHECKING:
    from collections.abc import Iterator

_VAULT: Final = {"resourceGroup": "resource group name of the vault", "name": "vault name"}
"""Fields of ``spec.vault``, and the properties of a cross-region restore that have them, in lowercase."""
_BYTE_ORDER_MARK: Final = "\ufeff"
_ITEMS: Final = ("entityfriendlyname", "datasourcename", "workloadname")
"""Names of the protected item: in a Recovery Services vault, in a Backup vault, in PowerShell."""


def decode(data: bytes) -> str:
    """Decode standard input: UTF-8, or UTF-16 as ``>`` and ``Out-File`` of Windows PowerShell 5.1 write it."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    if len(data) > 1 and 0 in data[:2]:  # UTF-16 without a byte order mark: an ASCII character has one zero byte
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le", errors="replace")
    return data.decode("utf-8-sig", errors="replace")


def split_jobs(text: str) -> list[str]:
    """Split *text* into one text per job: the elements of a JSON list, a JSON object, or the lines that are not empty.

    Raises ValueError if the text starts like JSON and is not.
    """
    text = _stripped(text)
    if text[:1] not in ("{", "["):
        return [line for line in map(_stripped, text.splitlines()) if line]
    value = _parse(text)
    return [json.dumps(each) for each in value] if isinstance(value, list) else [text]


def candidates(text: str) -> Iterator[str]:
    """Yield the strings that may identify a job or an operation, most specific first: from JSON, or *text* itself.

    Raises ValueError if the text starts like JSON and is not.
    """
    text = _stripped(text)
    if text[:1] not in ("{", "["):
        yield text
        return
    value = _only(_parse(text))
    if isinstance(value, str):
        yield value
    document = lowercase_names(value)
    properties = lowercase_names(document.get("properties"))
    for found in (properties.get("jobid"), document.get("jobid"), document.get("id")):
        if isinstance(found, str):
            yield found


def item_of(text: str) -> str | None:
    """Return the name of the protected item, if *text* is the JSON of one job. None for any other text."""
    try:
        document = lowercase_names(_only(_parse(_stripped(text))))
    except ValueError:
        return None
    fields = {**document, **lowercase_names(document.get("properties"))}
    return next((fields[name] for name in _ITEMS if isinstance(fields.get(name), str) and fields[name]), None)


def vault_of(text: str) -> dict[str, str]:
    """Return the group and the name of the vault in the JSON of a cross-region restore, whose ID does not name them."""
    try:
        value = _only(_parse(_stripped(text)))
    except ValueError:
        return {}
    for name in ("properties", "extendedinfo", "propertybag"):
        value = lowercase_names(value).get(name)
    bag = lowercase_names(value)
    return {field: bag[name] for field, name in _VAULT.items() if isinstance(bag.get(name), str)}


def _stripped(text: str) -> str:
    return text.strip().strip(_BYTE_ORDER_MARK).strip()


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(
            "The text starts like JSON, but it is not valid JSON. Pass the whole output of `az … --output json` or "
            "`… | ConvertTo-Json`."
        ) from None


def _only(value: Any) -> Any:
    """Return the element of a list that has only one, and any other *value* as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
