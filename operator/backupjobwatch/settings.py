"""The operator's settings, read once from environment variables.

Reading them does no I/O. ``backupjobwatch check`` prints them, and docs/settings.md lists them.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backupjobwatch.clouds import CLOUDS
from backupjobwatch.domain.jobs.durations import format_duration, parse_go_duration
from backupjobwatch.domain.jobs.text import quoted, sanitize
from backupjobwatch.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "BACKUPJOBWATCH_"
ALL_NAMESPACES: Final = "*"
RENAMED: Final[Mapping[str, str]] = {"SWEEP_INTERVAL": "RESYNC_INTERVAL"}
"""Old names of settings, without the prefix. They are still accepted; the new name wins."""
_SERVICE_LINK = re.compile(r"SERVICE_(HOST|PORT)|PORT(_\d|$)")
"""Variables that Kubernetes sets if a Service has the same name."""


def _split(value: object) -> object:
    return tuple(filter(None, (item.strip() for item in value.split(",")))) if isinstance(value, str) else value


def _duration(value: object) -> object:
    return parse_go_duration(value) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
_LOWER = BeforeValidator(_lower)


def _at_least(seconds: float) -> AfterValidator:
    def check(value: timedelta) -> timedelta:
        if value < timedelta(seconds=seconds):
            raise ValueError(f"must be at least {seconds:g}s")
        return value

    return AfterValidator(check)


class Settings(BaseSettings):
    """All settings. Each field is the variable ``BACKUPJOBWATCH_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    namespaces: Names = ()
    """Namespaces whose watches the operator follows, separated by commas. Empty: all namespaces."""
    operator_identity_namespaces: Names = ()
    """Namespaces whose watches may use the operator's own Azure identity, separated by commas. ``*``: all. Empty: none."""
    on_demand_namespaces: Names = ()
    """Namespaces whose watches may request backups (``spec.onDemand``), separated by commas. ``*``: all. Empty: none."""
    on_demand_requests_per_hour: Annotated[int, Field(ge=1, le=1000)] = 10
    """Maximum number of backups that the watches of one namespace may request within an hour."""

    cloud: Annotated[Literal["public", "usgov", "china"], _LOWER] = "public"
    """The Azure cloud: `public`, `usgov` or `china`. It sets the defaults of the next three settings."""
    azure_endpoint: str = ""
    """URL of Azure Resource Manager. The operator sends Azure tokens to no other host. Default: the cloud's."""
    azure_scope: str = ""
    """Scope of the tokens. Default: the cloud's."""
    azure_authority: str = ""
    """URL of Entra, which issues the tokens. Default: the cloud's."""
    azure_ca_file: str = ""
    """A PEM file of CA certificates for ARM and Entra, which replaces the public CAs (azure-access.md)."""
    azure_authority_ca_file: str = ""
    """A PEM file of CA certificates for Entra only. Default: that of the previous setting."""
    azure_api_version: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d(-preview)?$")] = "2025-02-01"
    """The api-version of requests to Recovery Services vaults."""
    azure_data_protection_api_version: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d(-preview)?$")] = "2025-07-01"
    """The api-version of requests to Backup vaults."""
    azure_reads_per_second: Annotated[float, Field(gt=0, le=25)] = 2.0
    """Initial number of reads per second for all watches of one identity in one subscription. Azure's responses adjust it."""
    azure_read_burst: Annotated[int, Field(ge=5, le=250)] = 20
    """Number of reads that the operator may send at once after a pause, per identity and subscription."""
    azure_proxy: Annotated[str, Field(repr=False)] = ""
    """URL of an HTTP proxy for Azure and Entra. The operator ignores the usual variables, such as ``HTTPS_PROXY``."""
    azure_connections: Annotated[int, Field(ge=1, le=100)] = 8
    """Maximum number of requests to Azure at the same time, including backup requests. One identity gets at most half of them."""
    azure_connect_timeout: Annotated[Duration, _at_least(0.1)] = timedelta(seconds=5)
    """Timeout for connecting to Azure."""
    azure_read_timeout: Annotated[Duration, _at_least(0.1)] = timedelta(seconds=20)
    """Timeout while Azure sends no data."""
    azure_total_timeout: Annotated[Duration, _at_least(0.1)] = timedelta(seconds=30)
    """Timeout for a whole request. A backup request has a fixed timeout of 70 seconds."""
    heartbeat: Annotated[Duration, _at_least(1)] = timedelta(minutes=5)
    """How often an unchanged status is written. With more than 1,500 watches (at `5m`) the interval grows, up to 30 minutes."""
    resync_interval: Annotated[Duration, _at_least(1)] = timedelta(minutes=1)
    """How often the operator lists all watches. With more than 3,000 watches (at `1m`) the interval grows."""

    leader_election: bool = False
    """Whether a Lease decides which of several operators acts. Set it if more than one can run."""
    lease_name: str = "backupjobwatch"
    """Name of the Lease. Operators of different namespaces (shards) need different names."""
    lease_namespace: str = ""
    """Namespace of the Lease. Default: the operator's."""
    lease_duration: Annotated[Duration, _at_least(1)] = timedelta(seconds=14)
    """How long a standby waits after the last renewal before it becomes the leader."""
    lease_renew_deadline: Annotated[Duration, _at_least(0.5)] = timedelta(seconds=10)
    """How long a leader tries to renew the Lease before its process exits."""
    lease_retry_period: Annotated[Duration, _at_least(0.1)] = timedelta(seconds=2)
    """How often a leader renews the Lease, and a standby reads it."""

    notify_http_hosts: Names = ()
    """Hosts that webhooks may use with plain HTTP, separated by commas, such as the name of a Service. Empty: none."""
    notify_ca_file: str = ""
    """A PEM file of CA certificates that webhooks trust in addition to the public CAs."""
    probe_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of /healthz and /readyz, for IPv4 and IPv6. 0 selects a free port, which is logged."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 8081
    """Port of /metrics, for IPv4 and IPv6. 0 selects a free port, which is logged."""
    metrics_watch_limit: Annotated[int, Field(ge=0, le=10_000)] = 1000
    """How many watches have series of their own, up to five each. The other watches are only counted."""
    log_format: Annotated[Literal["text", "json"], _LOWER] = "text"
    """`text` or `json`. With `json`, each line is one JSON object."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _LOWER] = "info"
    """Minimum level of log lines: `debug`, `info`, `warning` or `error`."""

    development: bool = False
    """Allow plain HTTP and webhooks on the loopback interface, and a static token. Never set it in a cluster."""
    development_token: SecretStr = SecretStr("")
    """A static token instead of an Azure identity. Requires `BACKUPJOBWATCH_DEVELOPMENT`."""

    @field_validator("azure_proxy")
    @classmethod
    def _is_proxy(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/\s]+/?", value):
            raise ValueError("must be http://host:port or https://host:port")
        return value

    @field_validator("lease_name", "lease_namespace")
    @classmethod
    def _is_name(cls, value: str, info: ValidationInfo) -> str:
        optional = info.field_name == "lease_namespace"
        if not (optional and not value) and not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", value):
            raise ValueError("must consist of lowercase letters, digits, dots and hyphens, such as backupjobwatch-a")
        return value

    @field_validator("namespaces", "operator_identity_namespaces", "on_demand_namespaces")
    @classmethod
    def _are_namespaces(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if ALL_NAMESPACES in value and info.field_name == "namespaces":
            raise ValueError("must be empty to follow the watches of all namespaces")
        if not all(
            each == ALL_NAMESPACES or re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", each) for each in value
        ):
            raise ValueError("must be names of namespaces, separated by commas")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name in ("endpoint", "scope", "authority"):  # bypassing pydantic's frozen model
            value = getattr(self, f"azure_{name}") or getattr(CLOUDS[self.cloud], name)
            object.__setattr__(self, f"azure_{name}", value.rstrip("/"))
        if self.development_token.get_secret_value() and not self.development:
            raise ValueError(f"{PREFIX}DEVELOPMENT_TOKEN requires {PREFIX}DEVELOPMENT=true")
        deadline, period = f"{PREFIX}LEASE_RENEW_DEADLINE", f"{PREFIX}LEASE_RETRY_PERIOD"
        if self.lease_renew_deadline < 2 * self.lease_retry_period:
            raise ValueError(f"{deadline}: must be at least twice {period}, got {_shown(self.lease_renew_deadline)}")
        if self.lease_duration <= self.lease_renew_deadline + self.lease_retry_period:
            got = _shown(self.lease_duration)
            raise ValueError(f"{PREFIX}LEASE_DURATION: must exceed {deadline} and {period} together, got {got}")
        _check_url(f"{PREFIX}AZURE_ENDPOINT", self.azure_endpoint, plain_http=self.development)
        _check_url(f"{PREFIX}AZURE_AUTHORITY", self.azure_authority, plain_http=False)
        return self

    def allows_operator_identity(self, namespace: str) -> bool:
        """Return whether watches in *namespace* may use the operator's own identity."""
        return not {ALL_NAMESPACES, namespace}.isdisjoint(self.operator_identity_namespaces)

    def allows_on_demand(self, namespace: str) -> bool:
        """Return whether watches in *namespace* may request backups."""
        return not {ALL_NAMESPACES, namespace}.isdisjoint(self.on_demand_namespaces)

    @property
    def scopes(self) -> tuple[str | None, ...]:
        """The namespaces to list watches in. A single None means all namespaces."""
        return self.namespaces or (None,)

    @property
    def proxies(self) -> dict[str, str]:
        """The proxy for Azure and Entra in the format of ``requests``. Empty without a proxy."""
        return {"https": self.azure_proxy, "http": self.azure_proxy} if self.azure_proxy else {}

    def describe(self) -> dict[str, str]:
        """Return all variables with their values as text, with secrets hidden."""
        return {PREFIX + name.upper(): _shown(getattr(self, name)) for name in type(self).model_fields}


def load_settings() -> Settings:
    """Read the settings from the environment. Raise SettingsError, which lists all errors in them."""
    problems = _unknown_variables()
    renamed = {new.lower(): os.environ[PREFIX + old] for old, new in renamed_variables().items()}
    try:
        settings = Settings(**renamed)  # type: ignore[arg-type]
    except ValidationError as error:
        problems += [_explain(problem) for problem in error.errors(include_url=False)]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def renamed_variables() -> dict[str, str]:
    """Return the old names, without the prefix, that the environment uses in place of new ones."""
    return {old: new for old, new in RENAMED.items() if PREFIX + old in os.environ and PREFIX + new not in os.environ}


def load_log_settings() -> Settings:
    """Return the defaults with the log format of the environment, to log errors in the settings."""
    log_format = os.environ.get(f"{PREFIX}LOG_FORMAT", "").lower()
    return Settings.model_construct(log_format="json" if log_format == "json" else "text")


def _unknown_variables() -> list[str]:
    known, problems = [name.upper() for name in Settings.model_fields], []
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in known or name in RENAMED or _SERVICE_LINK.match(name):
            continue
        nearest = difflib.get_close_matches(name.upper(), known, 1, cutoff=0.5)
        advice = f"Did you mean {PREFIX}{nearest[0]}?" if nearest else 'Run "backupjobwatch check" to list all settings'
        problems.append(f"{variable}: no such setting. {advice}")
    return problems


def _explain(problem: Any) -> str:
    text = re.sub("^Value error, |, unable to.*", "", re.sub("^(Input|String) should", "must", problem["msg"]))
    text = text.replace("be a valid boolean", "be true or false")
    field = "".join(str(part) for part in problem["loc"][:1]).upper()
    old = {new: old for old, new in renamed_variables().items()}
    got = "" if field in ("AZURE_PROXY", "DEVELOPMENT_TOKEN") else f", got {quoted(problem['input'])}"
    return f"{PREFIX}{old.get(field, field)}: {text}{got}" if field else text


def _check_url(variable: str, url: str, *, plain_http: bool) -> None:
    try:
        parts = urlsplit(url)
        is_origin = parts.port != 0 and not (parts.username or parts.query or parts.fragment or parts.path)
    except ValueError:  # a malformed port
        is_origin = False
    if not is_origin or not parts.hostname:
        raise ValueError(f"{variable}: must be https:// and a host, without user, path or query, got {quoted(url)}")
    if parts.scheme != "https" and not (parts.scheme == "http" and plain_http and _is_loopback(parts.hostname)):
        advice = f"Plain http requires {PREFIX}DEVELOPMENT=true and a loopback host"
        raise ValueError(f"{variable}: must be https, got {quoted(url)}. {advice}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(hidden)" if value.get_secret_value() else ""
    if isinstance(value, timedelta):
        return format_duration(value) if value >= timedelta(seconds=1) else f"{value.total_seconds():g}s"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else sanitize(str(value), 512)
