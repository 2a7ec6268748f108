"""Finds the cluster and the namespace as kubectl does: from options, the kubeconfig, or the pod it runs in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from backupjobwatch.domain.jobs.payloads import mapping, mappings
from backupjobwatch.kubectl.errors import NoAccess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubernetes.aio import client

_POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_USUAL: Final = "~/.kube/config"
_DEFAULT_NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The access options on the command line. None for an option that is not set."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubeconfig:
    """The contexts of one or more files, merged as kubectl does: the first of two equal names counts.

    https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#merging-kubeconfig-files
    """

    files: tuple[str, ...]
    """The files that exist."""
    contexts: Mapping[str, Mapping[str, Any]]
    """``cluster``, ``user`` and ``namespace`` of each context, by its name."""
    current: str | None

    @classmethod
    def find(cls, explicit: str | None) -> Kubeconfig:
        """Read the *explicit* file, else those of KUBECONFIG, else the default. Raises NoAccess if one is unreadable."""
        named = [explicit] if explicit else (os.environ.get("KUBECONFIG") or _USUAL).split(os.pathsep)
        paths = [Path(name).expanduser() for name in named if name]
        if explicit and not paths[0].exists():
            raise NoAccess(f"--kubeconfig: the file {explicit} does not exist")
        existing = [path for path in paths if path.exists()]
        documents = [_read(path) for path in existing]
        contexts: dict[str, Mapping[str, Any]] = {}
        for document in documents:
            for entry in mappings(document.get("contexts")):
                contexts.setdefault(str(entry.get("name")), mapping(entry.get("context")))
        current = (str(document["current-context"]) for document in documents if document.get("current-context"))
        return cls(files=tuple(map(str, existing)), contexts=contexts, current=next(current, None))

    def choose(self, context: str | None) -> str:
        """Return *context*, or else the name of the current one. Raises NoAccess if it does not exist."""
        name = context or self.current
        known = ", ".join(sorted(self.contexts)) or "none"
        if name is None:
            raise NoAccess(f"no current context is set. Pass --context with one of: {known}.")
        if name not in self.contexts:
            raise NoAccess(f"the context {name} does not exist. Use one of: {known}.")
        return name


async def load(access: Access) -> tuple[client.Configuration, str]:
    """Return the client's configuration for *access*, and the namespace. Raises NoAccess."""
    # The library takes seconds to load. Help, completion of options and dry runs do not need it.
    from kubernetes.aio import client, config  # noqa: PLC0415

    configuration = client.Configuration()
    kubeconfig = Kubeconfig.find(access.kubeconfig)
    is_in_pod = not kubeconfig.files and not access.context
    try:
        if is_in_pod:
            config.load_incluster_config(client_configuration=configuration)
            return configuration, access.namespace or _POD_NAMESPACE.read_text("utf-8").strip()
        context = kubeconfig.choose(access.context)
        await config.load_kube_config(
            config_file=os.pathsep.join(kubeconfig.files),
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except (config.ConfigException, OSError, LookupError, TypeError, ValueError) as error:
        if is_in_pod:
            raise NoAccess(
                f"there is no kubeconfig, and this is not a pod. Set KUBECONFIG, or create {_USUAL}."
            ) from error
        raise NoAccess(f"the kubeconfig does not work: {error}") from error
    namespace = access.namespace or kubeconfig.contexts[context].get("namespace")
    return configuration, str(namespace or _DEFAULT_NAMESPACE)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        # Only the type, because the parser's message quotes the line, which may contain a token.
        raise NoAccess(f"{path} cannot be read: {type(error).__name__}") from error
    if not isinstance(document, dict | None):
        raise NoAccess(f"{path} is not a kubeconfig")
    return document or {}
