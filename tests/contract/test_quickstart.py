"""The watch in docs/quickstart.md is valid, and the commands refer to it."""

from __future__ import annotations

import re
import string
from typing import Final

import yaml
from jsonschema import Draft202012Validator

from tests.contract.markdown import blocks, commands
from tests.contract.project import read
from tests.property.oracles import object_schema
from tests.support.builders import JOB_ID

DOCUMENT: Final = read("docs/quickstart.md")


def test_the_watch_is_valid() -> None:
    """The CRD accepts the watch of the quickstart."""
    (text,) = (
        found
        for block in blocks(DOCUMENT, "sh")
        for found in re.findall(r"<<EOF\n(.*?)^EOF$", block, re.DOTALL | re.MULTILINE)
    )
    watch = yaml.safe_load(string.Template(text).substitute(JOB_ID=JOB_ID))
    Draft202012Validator(object_schema()).validate(watch)
    assert watch["spec"] == {"jobResourceId": JOB_ID}


def test_the_commands_are_about_the_watch() -> None:
    """Each command refers to this watch in the namespace that may use the operator's identity."""
    about = [command for command in commands(DOCUMENT) if re.search(r"\bbjw[/ ]", command)]
    assert len(about) == 4
    assert all("--namespace team-a" in command and re.search(r"\bbjw[/ ]first\b", command) for command in about)
    assert "`operatorIdentityNamespaces: [team-a]`" in DOCUMENT
