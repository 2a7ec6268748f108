"""The image's packages are listed, their licences are known, and the audit reports vulnerabilities."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import pytest

from backupjobwatch import __version__
from tests.contract.project import ENVIRONMENT, ROOT, pyproject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLE: Final = {
    "id": "PYSEC-2026-1",
    "summary": "s",
    "affected": [
        {
            "package": {"name": "kopf", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2.3"}]}],
        }
    ],
}
COPYLEFT: Final = re.compile(r"\b[AL]?GPL|General Public|SSPL|Commons Clause", re.IGNORECASE)


# ── vulnerabilities ──────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def osv(answers: dict[str, Any], status: int = 200) -> Iterator[str]:
    """Run an advisory server with these vulnerabilities by package name."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answers.get(asked["package"]["name"], {})).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            """Log no requests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
        finally:
            server.shutdown()


def audit(folder: Path, url: str, *options: str) -> tuple[int, str]:
    """Audit two packages like ``make check``, and return the exit status and the output."""
    requirements = folder / "requirements.txt"
    hashed = [f"{name} --hash=sha256:{'0' * 64}" for name in ("kopf==1.2.2", "click==8.0.0")]
    requirements.write_text("\n".join(hashed), encoding="utf-8")
    command = [sys.executable, "-m", "tests.supply_chain.audit", str(requirements), "--osv-url", url, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_vulnerability_fails(tmp_path: Path) -> None:
    """A known vulnerability fails the audit, which prints the fixed version."""
    with osv({"kopf": {"vulns": [HOLE]}}) as url:
        status, said = audit(tmp_path, url)
    assert status == 1
    assert said == "kopf 1.2.2: PYSEC-2026-1, fixed in 1.2.3: https://osv.dev/PYSEC-2026-1\n"


def test_no_vulnerabilities_pass(tmp_path: Path) -> None:
    """Without vulnerabilities, the audit prints the number of checked packages."""
    with osv({}) as url:
        assert audit(tmp_path, url) == (0, "No known vulnerabilities in 2 packages\n")


@pytest.mark.parametrize(("options", "status"), [((), 0), (("--strict",), 2)])
def test_an_unreachable_service_is_reported(tmp_path: Path, options: tuple[str, ...], status: int) -> None:
    """If the service is unreachable or broken, the audit reports that and never claims success."""
    with osv({}, status=503) as broken:
        answers = [audit(tmp_path, broken, *options), audit(tmp_path, "http://127.0.0.1:9/", *options)]
    for ended, said in answers:
        assert ended == status
        assert "NOT AUDITED" in said
        assert "No known vulnerabilities" not in said


# ── build dependencies ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_build_is_pinned(uv: Path) -> None:
    """All build dependencies of the wheel have pinned versions."""
    settings = pyproject()
    pins = settings["tool"]["uv"]["build-constraint-dependencies"]
    command = [str(uv), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "-"]
    wanted = "\n".join([*settings["build-system"]["requires"], *pins])
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, input=wanted, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, sorted(pins)), done.stderr


# ── components and licences ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def parts(sbom: Path) -> dict[str, Any]:
    """The contents of the image as a CycloneDX document."""
    parts: dict[str, Any] = json.loads((sbom / "backupjobwatch.cdx.json").read_text(encoding="utf-8"))
    return parts


def test_sbom_is_the_image(parts: dict[str, Any], uv: Path) -> None:
    """The document lists the project and the image's packages with the versions of the lock file."""
    about = parts["metadata"]["component"]
    assert (parts["bomFormat"], about["name"], about["version"]) == ("CycloneDX", "backupjobwatch", __version__)
    command = [str(uv), "export", "--frozen", "--no-default-groups", "--no-emit-project", "--no-hashes", "--no-header"]
    locked = subprocess.check_output(command, cwd=ROOT, env=ENVIRONMENT, text=True, stderr=subprocess.DEVNULL)
    wanted = set(re.findall(r"^([\w.-]+)==([\w.]+)(?! *; sys_platform == 'win32')", locked, re.MULTILINE))
    listed = {
        (re.sub(r"[-_.]+", "-", each["name"]).lower(), each["version"])
        for each in parts["components"]
        if each["name"] != "backupjobwatch"
    }
    assert listed <= wanted
    assert {name for name, _ in wanted} - {name for name, _ in listed} <= {"pywin32", "colorama"}
    assert all(each["purl"].startswith("pkg:pypi/") for each in parts["components"])


def test_licences_are_known(parts: dict[str, Any], sbom: Path) -> None:
    """Every package states its licence, none has a copyleft licence that affects the project, and all are listed."""
    listed = (sbom / "licences.md").read_text(encoding="utf-8")
    for each in parts["components"]:
        said = [entry.get("expression") or next(iter(entry["license"].values())) for entry in each["licenses"]]
        names = json.dumps(each["licenses"])
        assert said, each["name"]
        assert not COPYLEFT.search(names), (each["name"], said)
        assert re.search(rf"^\| *{re.escape(each['name'])} *\| *{re.escape(each['version'])}", listed, re.MULTILINE)
