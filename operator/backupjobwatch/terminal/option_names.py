"""Messages for a command line, with options in place of fields of a spec."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = {
    "set spec.completedWithWarnings to Succeeded": "use --accept-warnings",
    "before this object's creation": "before now",
    "with spec.jobName": "by its ID",
    "set spec.onDemand.ifRunning to Follow in a new watch": "use --if-running Follow",
    "Set spec.onDemand.ifRunning to Fail": "Remove --if-running",
    "must not be set with retainUntil": "must not be set with --retain-until",
    "To request another backup, edit spec.revision": "To request another backup, run the command again",
    "The operator": "The command",
    "spec.activeDeadlineSeconds": "--timeout",
    "spec.completedWithWarnings": "--accept-warnings",
    "spec.graceSeconds": "--grace",
    "spec.jobName": "JOB",
    "spec.jobResourceId": "JOB",
    "spec.operationId": "--operation-id",
    "spec.pollInterval": "--interval",
    "spec.revision": "--revision",
    "spec.vault.kind": "--vault-kind",
    "spec.vault.name": "--vault-name",
    "spec.vault.subscriptionId": "--subscription",
}
_OBJECTS: Final = {
    "identity": "--identity",
    "latest": "--item",
    "onDemand": "--on-demand",
    "vault": "--vault-name",
}
"""Objects in a spec, with the options that stand for the whole object. Each field has an option of its name."""
_FIELD: Final = re.compile(rf"spec\.(?P<object>{'|'.join(_OBJECTS)})(\.(?P<field>\w+))?")
_CAPITAL: Final = re.compile(r"[A-Z]")


def with_option_names(text: str) -> str:
    """Return *text* with the command's options in place of fields of a spec."""
    for words, replacement in _WORDS.items():
        text = text.replace(words, replacement)
    return _FIELD.sub(_option, text)


def _option(found: re.Match[str]) -> str:
    if found["field"] is None:
        return _OBJECTS[found["object"]]
    return "--" + _CAPITAL.sub(lambda letter: f"-{letter[0].lower()}", found["field"])
