"""Settings: each variable, each error message, and no secrets in them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pydantic
import pytest

from backupjobwatch.clouds import CLOUDS
from backupjobwatch.errors import SettingsError
from backupjobwatch.settings import PREFIX, RENAMED, Settings, load_settings, renamed_variables

DEFAULTS = {
    "NAMESPACES": "",
    "OPERATOR_IDENTITY_NAMESPACES": "",
    "ON_DEMAND_NAMESPACES": "",
    "ON_DEMAND_REQUESTS_PER_HOUR": "10",
    "CLOUD": "public",
    "AZURE_ENDPOINT": "https://management.azure.com",
    "AZURE_SCOPE": "https://management.azure.com/.default",
    "AZURE_AUTHORITY": "https://login.microsoftonline.com",
    "AZURE_CA_FILE": "",
    "AZURE_AUTHORITY_CA_FILE": "",
    "AZURE_API_VERSION": "2025-02-01",
    "AZURE_DATA_PROTECTION_API_VERSION": "2025-07-01",
    "AZURE_READS_PER_SECOND": "2.0",
    "AZURE_READ_BURST": "20",
    "AZURE_PROXY": "",
    "AZURE_CONNECTIONS": "8",
    "AZURE_CONNECT_TIMEOUT": "5s",
    "AZURE_READ_TIMEOUT": "20s",
    "AZURE_TOTAL_TIMEOUT": "30s",
    "HEARTBEAT": "5m0s",
    "RESYNC_INTERVAL": "1m0s",
    "LEADER_ELECTION": "false",
    "LEASE_NAME": "backupjobwatch",
    "LEASE_NAMESPACE": "",
    "LEASE_DURATION": "14s",
    "LEASE_RENEW_DEADLINE": "10s",
    "LEASE_RETRY_PERIOD": "2s",
    "NOTIFY_HTTP_HOSTS": "",
    "NOTIFY_CA_FILE": "",
    "PROBE_PORT": "8080",
    "METRICS_PORT": "8081",
    "METRICS_WATCH_LIMIT": "1000",
    "LOG_FORMAT": "text",
    "LOG_LEVEL": "info",
    "DEVELOPMENT": "false",
    "DEVELOPMENT_TOKEN": "",
}
SECRET = "made-up-secret-7f3a"


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that returns the error message for the given variables."""

    def refusal(**variables: str) -> str:
        for name, value in variables.items():
            monkeypatch.setenv(PREFIX + name, value)
        with pytest.raises(SettingsError) as caught:
            load_settings()
        return str(caught.value)

    return refusal


def test_defaults() -> None:
    """The defaults are safe: no namespace may use the operator's identity or request backups."""
    settings = load_settings()
    assert settings.describe() == {PREFIX + name: value for name, value in DEFAULTS.items()}
    assert not settings.allows_operator_identity("default")


@pytest.mark.parametrize(
    ("variable", "text", "field", "value", "shown"),
    [
        ("NAMESPACES", " team-a, ,team-b,", "namespaces", ("team-a", "team-b"), "team-a,team-b"),
        ("OPERATOR_IDENTITY_NAMESPACES", "*", "operator_identity_namespaces", ("*",), "*"),
        ("ON_DEMAND_NAMESPACES", "team-a, team-b", "on_demand_namespaces", ("team-a", "team-b"), "team-a,team-b"),
        ("ON_DEMAND_REQUESTS_PER_HOUR", "1000", "on_demand_requests_per_hour", 1000, "1000"),
        ("CLOUD", "UsGov", "cloud", "usgov", "usgov"),
        ("AZURE_ENDPOINT", "https://arm.local:30024/", "azure_endpoint", "https://arm.local:30024", None),
        ("AZURE_SCOPE", "api://x/.default", "azure_scope", "api://x/.default", "api://x/.default"),
        ("AZURE_AUTHORITY", "https://login.local", "azure_authority", "https://login.local", "https://login.local"),
        ("AZURE_API_VERSION", "2024-04-01-preview", "azure_api_version", "2024-04-01-preview", "2024-04-01-preview"),
        ("AZURE_CA_FILE", "/etc/ca.pem", "azure_ca_file", "/etc/ca.pem", "/etc/ca.pem"),
        ("AZURE_AUTHORITY_CA_FILE", "/etc/ca.pem", "azure_authority_ca_file", "/etc/ca.pem", "/etc/ca.pem"),
        ("AZURE_DATA_PROTECTION_API_VERSION", "2026-06-01", "azure_data_protection_api_version", "2026-06-01", None),
        ("AZURE_READS_PER_SECOND", "0.5", "azure_reads_per_second", 0.5, "0.5"),
        ("AZURE_READ_BURST", "250", "azure_read_burst", 250, "250"),
        ("AZURE_PROXY", "http://proxy:3128", "azure_proxy", "http://proxy:3128", "http://proxy:3128"),
        ("AZURE_CONNECTIONS", "100", "azure_connections", 100, "100"),
        ("AZURE_CONNECT_TIMEOUT", "1500ms", "azure_connect_timeout", timedelta(seconds=1.5), "1s"),
        ("AZURE_READ_TIMEOUT", "100ms", "azure_read_timeout", timedelta(seconds=0.1), "0.1s"),
        ("AZURE_TOTAL_TIMEOUT", "2m", "azure_total_timeout", timedelta(minutes=2), "2m0s"),
        ("HEARTBEAT", "1h30m", "heartbeat", timedelta(minutes=90), "1h30m0s"),
        ("RESYNC_INTERVAL", "1s", "resync_interval", timedelta(seconds=1), "1s"),
        ("LEADER_ELECTION", "true", "leader_election", True, "true"),
        ("LEASE_NAME", "backupjobwatch-shard.a", "lease_name", "backupjobwatch-shard.a", "backupjobwatch-shard.a"),
        ("LEASE_NAMESPACE", "operators", "lease_namespace", "operators", "operators"),
        ("LEASE_DURATION", "1m", "lease_duration", timedelta(minutes=1), "1m0s"),
        ("LEASE_RENEW_DEADLINE", "11s", "lease_renew_deadline", timedelta(seconds=11), "11s"),
        ("LEASE_RETRY_PERIOD", "500ms", "lease_retry_period", timedelta(seconds=0.5), "0.5s"),
        ("NOTIFY_HTTP_HOSTS", "hooks.local, hooks", "notify_http_hosts", ("hooks.local", "hooks"), "hooks.local,hooks"),
        ("NOTIFY_CA_FILE", "/etc/hooks.pem", "notify_ca_file", "/etc/hooks.pem", "/etc/hooks.pem"),
        ("PROBE_PORT", "0", "probe_port", 0, "0"),
        ("METRICS_PORT", "0", "metrics_port", 0, "0"),
        ("METRICS_WATCH_LIMIT", "0", "metrics_watch_limit", 0, "0"),
        ("LOG_FORMAT", "JSON", "log_format", "json", "json"),
        ("LOG_LEVEL", "Debug", "log_level", "debug", "debug"),
        ("DEVELOPMENT", "true", "development", True, "true"),
    ],
)
def test_each_variable(
    *, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: object, shown: str | None
) -> None:
    """Each variable is parsed as documented, and shown in a form that can be parsed again."""
    monkeypatch.setenv(PREFIX + variable, text)
    settings = load_settings()
    assert getattr(settings, field) == value
    assert settings.describe()[PREFIX + variable] == (value if shown is None else shown)


def test_each_variable_is_tested() -> None:
    """The tables above cover every variable."""
    assert {name.upper() for name in Settings.model_fields} == DEFAULTS.keys()


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_cloud_is_a_preset(monkeypatch: pytest.MonkeyPatch, cloud: str) -> None:
    """The name of a cloud sets endpoint, scope and authority. Each can still be overridden."""
    monkeypatch.setenv("BACKUPJOBWATCH_CLOUD", cloud)
    settings = load_settings()
    preset = CLOUDS[cloud]
    assert (settings.azure_endpoint, settings.azure_scope, settings.azure_authority) == (
        preset.endpoint, preset.scope, preset.authority
    )  # fmt: skip
    monkeypatch.setenv("BACKUPJOBWATCH_AZURE_SCOPE", "https://other/.default")
    settings = load_settings()
    assert (settings.azure_scope, settings.azure_endpoint) == ("https://other/.default", preset.endpoint)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("NAMESPACES", "*", "must be empty to follow the watches of all namespaces"),
        ("NAMESPACES", "team-a team-b", 'must be names of namespaces, separated by commas, got "team-a team-b"'),
        ("OPERATOR_IDENTITY_NAMESPACES", "team_a", "must be names of namespaces, separated by commas"),
        ("ON_DEMAND_NAMESPACES", "team-*", "must be names of namespaces, separated by commas"),
        ("CLOUD", "mars", "must be 'public', 'usgov' or 'china', got \"mars\""),
        ("AZURE_ENDPOINT", "http://management.azure.com", "must be https"),
        ("AZURE_ENDPOINT", "http://127.0.0.1:8080", "must be https"),
        ("AZURE_ENDPOINT", "management.azure.com", "must be https:// and a host, without"),
        ("AZURE_ENDPOINT", "https://management.azure.com/subscriptions", "must be https:// and a host, without"),
        ("AZURE_ENDPOINT", "https://user:password@management.azure.com", "must be https:// and a host, without"),
        ("AZURE_ENDPOINT", "https://management.azure.com?x=1", "must be https:// and a host, without"),
        ("AZURE_ENDPOINT", "https://management.azure.com#x", "must be https:// and a host, without"),
        ("AZURE_ENDPOINT", "ftp://management.azure.com", "must be https"),
        ("AZURE_ENDPOINT", "https://management.azure.com:port", "must be https:// and a host, without"),
        ("AZURE_ENDPOINT", "https://[::1", "must be https:// and a host, without"),
        ("AZURE_AUTHORITY", "http://login.microsoftonline.com", "must be https"),
        ("AZURE_AUTHORITY", "login", "must be https:// and a host, without"),
        ("AZURE_API_VERSION", "latest", "must match pattern"),
        ("AZURE_DATA_PROTECTION_API_VERSION", "2025-07", "must match pattern"),
        ("AZURE_READS_PER_SECOND", "0", "greater than 0"),
        ("AZURE_READS_PER_SECOND", "25.1", "less than or equal to 25"),
        ("AZURE_READS_PER_SECOND", "nan", "than"),
        ("AZURE_READS_PER_SECOND", "inf", "less than or equal to 25"),
        ("AZURE_READS_PER_SECOND", "2/s", "valid number"),
        ("AZURE_READ_BURST", "4", "greater than or equal to 5"),
        ("AZURE_READ_BURST", "251", "less than or equal to 250"),
        ("AZURE_CONNECTIONS", "0", "greater than or equal to 1"),
        ("AZURE_CONNECTIONS", "101", "less than or equal to 100"),
        ("AZURE_CONNECTIONS", "many", "valid integer"),
        ("AZURE_CONNECT_TIMEOUT", "0s", "must be at least"),
        ("AZURE_READ_TIMEOUT", "-1s", "must be at least"),
        ("AZURE_TOTAL_TIMEOUT", "30", "must be a duration such as 30s, 5m or 1h30m"),
        ("AZURE_TOTAL_TIMEOUT", "", "must be a duration such as 30s, 5m or 1h30m"),
        ("HEARTBEAT", "five minutes", "must be a duration such as 30s, 5m or 1h30m"),
        ("HEARTBEAT", "0.5s", "must be at least"),
        ("HEARTBEAT", "9999999999999999h", "must be a duration such as 30s, 5m or 1h30m"),
        ("RESYNC_INTERVAL", "900ms", "must be at least"),
        ("LEADER_ELECTION", "perhaps", 'must be true or false, got "perhaps"'),
        ("LEASE_NAME", "Backup_Job", "must consist of lowercase letters, digits, dots and hyphens"),
        ("LEASE_NAME", "", "must consist of lowercase letters, digits, dots and hyphens"),
        ("LEASE_NAME", "a" * 254, "must consist of lowercase letters, digits, dots and hyphens"),
        ("LEASE_NAMESPACE", "a/b", "must consist of lowercase letters, digits, dots and hyphens"),
        ("LEASE_DURATION", "12s", "must exceed BACKUPJOBWATCH_LEASE_RENEW_DEADLINE and"),
        ("LEASE_RENEW_DEADLINE", "3s", "must be at least twice BACKUPJOBWATCH_LEASE_RETRY_PERIOD, got 3s"),
        ("LEASE_RETRY_PERIOD", "0s", "must be at least"),
        ("PROBE_PORT", "65536", "less than or equal to 65535"),
        ("METRICS_PORT", "-1", "greater than or equal to 0"),
        ("METRICS_WATCH_LIMIT", "10001", "less than or equal to 10000"),
        ("LOG_FORMAT", "xml", "must be 'text' or 'json'"),
        ("LOG_LEVEL", "loud", "must be 'debug', 'info', 'warning' or 'error'"),
        ("DEVELOPMENT", "perhaps", "must be true or false"),
        ("DEVELOPMENT_TOKEN", SECRET, "BACKUPJOBWATCH_DEVELOPMENT_TOKEN requires BACKUPJOBWATCH_DEVELOPMENT=true"),
    ],
)
def test_each_refusal_names_the_variable_and_what_to_write(
    refusal: Any, variable: str, value: str, message: str
) -> None:
    """An invalid value is rejected with one line that names the variable."""
    text = refusal(**{variable: value})
    assert text.startswith(f"{PREFIX}{variable}")
    assert message in text
    assert len(text.splitlines()) == 1


def test_all_errors_are_reported_together(refusal: Any) -> None:
    """All invalid variables are reported together."""
    text = refusal(HEARTBEAT="soon", LOG_LEVEL="loud", PROBE_PORT="-1", HEARTBEET="5m")
    assert [line.partition(":")[0].removeprefix(PREFIX) for line in sorted(text.splitlines())] == [
        "HEARTBEAT", "HEARTBEET", "LOG_LEVEL", "PROBE_PORT"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("HEARTBEET", "no such setting. Did you mean BACKUPJOBWATCH_HEARTBEAT?"),
        ("AZURE_ENDPOINTS", "no such setting. Did you mean BACKUPJOBWATCH_AZURE_ENDPOINT?"),
        ("heartbeat_", "no such setting. Did you mean BACKUPJOBWATCH_HEARTBEAT?"),
        ("OPERATOR_NAMESPACES", "no such setting. Did you mean BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES?"),
        ("FOO", 'no such setting. Run "backupjobwatch check" to list all settings'),
        ("SERVICE", "no such setting"),
    ],
)
def test_an_unknown_variable_is_refused(refusal: Any, variable: str, message: str) -> None:
    """An unknown variable is rejected, because a misspelt setting would otherwise be ignored silently."""
    assert refusal(**{variable: "1"}).startswith(f"{PREFIX}{variable}: {message}")


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_the_old_name_of_a_setting_is_accepted(
    monkeypatch: pytest.MonkeyPatch, refusal: Any, old: str, new: str
) -> None:
    """An old name sets the new setting, errors name the variable in use, and the new name takes precedence."""
    assert "must be a duration" in refusal(**{old: "soon"})
    assert refusal(**{old: "soon"}).startswith(f"{PREFIX}{old}: ")
    monkeypatch.setenv(PREFIX + old, "7s")
    assert load_settings().describe()[PREFIX + new] == "7s"
    assert renamed_variables() == {old: new}
    monkeypatch.setenv(PREFIX + new, "9s")
    assert load_settings().describe()[PREFIX + new] == "9s"
    assert renamed_variables() == {}


@pytest.mark.parametrize(
    "variable",
    ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR"],
)
def test_service_links_are_no_settings(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Variables that Kubernetes sets for a Service named backupjobwatch are ignored."""
    monkeypatch.setenv(PREFIX + variable, "tcp://10.0.0.1:8080")
    load_settings()


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"])
def test_development_allows_plain_http_on_this_machine(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """In development mode, plain HTTP is allowed on this machine, because the simulator has no certificate."""
    monkeypatch.setenv("BACKUPJOBWATCH_DEVELOPMENT", "true")
    monkeypatch.setenv("BACKUPJOBWATCH_AZURE_ENDPOINT", endpoint)
    assert load_settings().azure_endpoint == endpoint


@pytest.mark.parametrize("endpoint", ["http://10.0.0.1", "http://localhost.example.com", "http://management.azure.com"])
def test_development_does_not_allow_plain_http_elsewhere(refusal: Any, endpoint: str) -> None:
    """Plain HTTP to other machines is rejected, so that tokens are always encrypted."""
    assert "must be https" in refusal(DEVELOPMENT="true", AZURE_ENDPOINT=endpoint)


def test_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch, refusal: Any) -> None:
    """No listing, representation or error message contains a secret."""
    monkeypatch.setenv("BACKUPJOBWATCH_DEVELOPMENT", "true")
    monkeypatch.setenv("BACKUPJOBWATCH_DEVELOPMENT_TOKEN", SECRET)
    settings = load_settings()
    assert settings.development_token.get_secret_value() == SECRET
    assert settings.describe()["BACKUPJOBWATCH_DEVELOPMENT_TOKEN"] == "(hidden)"
    assert SECRET not in f"{settings!r}{settings}{settings.describe()}"
    assert SECRET not in refusal(DEVELOPMENT="false", HEARTBEAT="soon")


@pytest.mark.parametrize("proxy", ["http://somebody:made-up-secret-7f3a@proxy:3128"])
def test_a_proxys_password_is_hidden(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """The password in a proxy's URL is hidden like other secrets."""
    monkeypatch.setenv("BACKUPJOBWATCH_AZURE_PROXY", proxy)
    settings = load_settings()
    assert settings.azure_proxy == proxy
    assert SECRET not in f"{settings!r}{settings.describe()}"


def test_settings_are_frozen() -> None:
    """Settings are immutable."""
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Settings().heartbeat = timedelta(seconds=1)
