"""Kubeconfigs are found and merged as in kubectl."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import yaml

from backupjobwatch.kubectl.access import Access, Kubeconfig, load
from backupjobwatch.kubectl.errors import NoAccess

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, *contexts: str, current: str | None = None, server: str = "https://first.example") -> str:
    """Write a kubeconfig whose contexts have namespaces named after them."""
    path.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [
                    {"name": name, "context": {"cluster": "c", "user": "u", "namespace": f"{path.stem}-{name}"}}
                    for name in contexts
                ],
                **({"current-context": current} if current is not None else {}),
            }
        ),
        "utf-8",
    )
    return str(path)


async def test_first_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several files, the first that has a value is used: for the current context, contexts and clusters."""
    files = [
        write(tmp_path / "a", "one", current=""),
        str(tmp_path / "missing"),
        write(tmp_path / "b", "one", "two", current="two", server="https://second.example"),
        write(tmp_path / "c", "three", current="three"),
    ]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(["", *files]))
    configuration, namespace = await load(Access())
    assert (configuration.host, namespace) == ("https://first.example", "b-two")
    assert configuration.api_key == {"BearerToken": "Bearer t"}
    _, namespace = await load(Access(context="one"))
    assert namespace == "a-one"
    _, namespace = await load(Access(context="one", namespace="mine"))
    assert namespace == "mine"
    configuration, namespace = await load(Access(kubeconfig=files[2]))
    assert (configuration.host, namespace) == ("https://second.example", "b-two")


async def test_default_namespace(tmp_path: Path) -> None:
    """A context without a namespace means `default`."""
    path = tmp_path / "a"
    write(path, "one", current="one")
    path.write_text(path.read_text("utf-8").replace("namespace: a-one", "namespace: ''"), "utf-8")
    assert (await load(Access(kubeconfig=str(path))))[1] == "default"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "is not a kubeconfig"),
        ("{token: kanari: }", "/config cannot be read: ParserError$"),
        ("", "no current context is set. Pass --context with one of: none"),
        ("contexts: [{name: a}, {name: b}]", "no current context is set. Pass --context with one of: a, b"),
        ("{contexts: [{name: a}], current-context: b}", "the context b does not exist. Use one of: a"),
        ("{contexts: [{name: a, context: {cluster: x}}], current-context: a}", "the kubeconfig does not work"),
        ("{contexts: 7, current-context: a}", "the context a does not exist. Use one of: none"),
    ],
)
async def test_bad_files(tmp_path: Path, text: str, words: str) -> None:
    """An invalid kubeconfig is reported without quoting its lines."""
    path = tmp_path / "config"
    path.write_text(text, "utf-8")
    with pytest.raises(NoAccess, match=words):
        await load(Access(kubeconfig=str(path)))


async def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named by the user must exist. Without any kubeconfig the program must run in a pod."""
    with pytest.raises(NoAccess, match="does not exist"):
        await load(Access(kubeconfig=str(tmp_path / "none")))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(NoAccess, match="there is no kubeconfig"):
        await load(Access())


def test_a_folder_is_no_kubeconfig(tmp_path: Path) -> None:
    """A path that cannot be read is reported by the name of the exception."""
    with pytest.raises(NoAccess, match="cannot be read: IsADirectoryError"):
        Kubeconfig.find(str(tmp_path))
