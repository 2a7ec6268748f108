"""The restricted Pod Security Standard, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

UNSET: Final = None
CONTAINER: Final = "containers.*."

RESTRICTED: Final[dict[str, tuple[str, tuple[Any, ...]]]] = {
    # Fields of the pod spec and their allowed values. A container must set each field that it could inherit. See
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted.
    "host network": ("hostNetwork", (UNSET, False)),
    "host processes": ("hostPID", (UNSET, False)),
    "host memory": ("hostIPC", (UNSET, False)),
    "host ports": (f"{CONTAINER}ports.*.hostPort", (UNSET, 0)),
    "liveness of other hosts": (f"{CONTAINER}livenessProbe.httpGet.host", (UNSET, "")),
    "readiness of other hosts": (f"{CONTAINER}readinessProbe.httpGet.host", (UNSET, "")),
    "Windows, pod": ("securityContext.windowsOptions.hostProcess", (UNSET, False)),
    "Windows, container": (f"{CONTAINER}securityContext.windowsOptions.hostProcess", (UNSET, False)),
    "privileges": (f"{CONTAINER}securityContext.privileged", (UNSET, False)),
    "privilege escalation": (f"{CONTAINER}securityContext.allowPrivilegeEscalation", (False,)),
    "capabilities dropped": (f"{CONTAINER}securityContext.capabilities.drop.*", ("ALL",)),
    "capabilities added": (f"{CONTAINER}securityContext.capabilities.add.*", (UNSET, "NET_BIND_SERVICE")),
    "not root, pod": ("securityContext.runAsNonRoot", (True,)),
    "not root, container": (f"{CONTAINER}securityContext.runAsNonRoot", (UNSET, True)),
    "user, pod": ("securityContext.runAsUser", (UNSET,)),  # the image sets one, and OpenShift assigns its own
    "user, container": (f"{CONTAINER}securityContext.runAsUser", (UNSET,)),
    "seccomp, pod": ("securityContext.seccompProfile.type", ("RuntimeDefault", "Localhost")),
    "seccomp, container": (f"{CONTAINER}securityContext.seccompProfile.type", (UNSET, "RuntimeDefault", "Localhost")),
    "AppArmor, pod": ("securityContext.appArmorProfile.type", (UNSET, "RuntimeDefault", "Localhost")),
    "AppArmor, container": (f"{CONTAINER}securityContext.appArmorProfile.type", (UNSET, "RuntimeDefault", "Localhost")),
    "SELinux, pod": ("securityContext.seLinuxOptions", (UNSET,)),
    "SELinux, container": (f"{CONTAINER}securityContext.seLinuxOptions", (UNSET,)),
    "sysctls": ("securityContext.sysctls.*.name", (UNSET,)),
    "/proc": (f"{CONTAINER}securityContext.procMount", (UNSET, "Default")),
    "lifecycle": (f"{CONTAINER}lifecycle", (UNSET,)),
}


def values(where: object, path: str) -> Iterator[Any]:
    """Yield the values at *path*; ``*`` matches every item. Yield None for a missing value."""
    step, _, rest = path.partition(".")
    if step == "*" and isinstance(where, list):
        for item in where:
            yield from values(item, rest) if rest else (item,)
    elif isinstance(where, dict) and step in where:
        yield from values(where[step], rest) if rest else (where[step],)
    else:
        yield None


def violations(pod: dict[str, Any]) -> list[str]:
    """Return the rules that a pod spec breaks."""
    return [
        rule
        for rule, (path, allowed) in RESTRICTED.items()
        if not (found := list(values(pod, path))) or not all(value in allowed for value in found)
    ]
