"""What all tests share: nothing of the machine's own Azure, Kubernetes or proxy settings reaches them."""

import os
import tempfile
from pathlib import Path
from typing import Final

import pytest

KUBECONFIG: Final = Path(tempfile.mkdtemp(prefix="backupjobwatch-tests-")) / "kubeconfig"
"""Where the tests' own clusters are told of. The kubernetes library reads the variable once, when it is imported."""

os.environ["KUBECONFIG"] = str(KUBECONFIG)

_FOREIGN: Final = ("AZURE_", "BACKUPJOBWATCH_", "IDENTITY_", "MSI_", "IMDS_", "KUBERNETES_SERVICE_")
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.upper().startswith(_FOREIGN) or variable.upper() in _PROXIES:
            monkeypatch.delenv(variable)


@pytest.fixture(scope="session", autouse=True)
def _no_kubeconfig_is_left() -> object:
    yield
    KUBECONFIG.unlink(missing_ok=True)
    KUBECONFIG.parent.rmdir()
