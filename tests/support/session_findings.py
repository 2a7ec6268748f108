"""Checks at the end of a test session, with or without pytest-xdist.

Each process that runs tests collects findings. A worker of pytest-xdist sends them to the controller. The controller merges
them, prints the complaints, and fails the session.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.canary import SCANNER, describe
from tests.support.commands import server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(slots=True, kw_only=True)
class Findings:
    """The findings of one process in its part of the session."""

    secrets: list[str] = field(default_factory=list)
    """Secrets that were found after the last test."""
    skipped: int = 0
    """The number of end-to-end tests that ``E2E=skip`` skips."""
    unavailable: str = ""
    """The reason why no API server is available."""
    complete: bool = False
    """Whether all end-to-end tests were selected."""
    ungranted: list[str] = field(default_factory=list)
    """Requests of the operators that no role grants."""
    unused: list[str] | None = None
    """Grants that no request needed, or None if no requests were recorded."""


FINDINGS: Final = pytest.StashKey[Findings]()
"""The findings of this process, finally merged with those of the workers."""
_RECEIVED: Final = pytest.StashKey[list[Findings]]()


def merge(parts: Iterable[Findings]) -> Findings:
    """Merge the findings of all processes that ran tests."""
    parts = list(parts)
    recorded = [set(part.unused) for part in parts if part.unused is not None]
    return Findings(
        secrets=[secret for part in parts for secret in part.secrets],
        skipped=max(part.skipped for part in parts),
        unavailable=next(filter(None, (part.unavailable for part in parts)), ""),
        complete=all(part.complete for part in parts),
        ungranted=sorted({request for part in parts for request in part.ungranted}),
        unused=sorted(set.intersection(*recorded)) if recorded else None,
    )


def complaints(findings: Findings, *, passed: bool) -> Iterator[str]:
    """Yield the problems that fail the session even if each test passed."""
    if secrets := describe(findings.secrets):
        yield secrets
    yield from (f"No role grants: {request}" for request in findings.ungranted)
    if findings.complete and passed:
        yield from (f"No test needs: {grant}" for grant in findings.unused or ())


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[FINDINGS] = Findings()
    config.stash[_RECEIVED] = []


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Start one command server for all workers."""
    server()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receive the findings of a worker. A worker that crashed sends none, and its test has failed."""
    if sent := getattr(node, "workeroutput", {}).get("findings"):
        node.config.stash[_RECEIVED].append(Findings(**sent))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the findings to the controller, or fail the session because of them."""
    config = session.config
    own = config.stash[FINDINGS]
    own.secrets = [secret.encode("utf-8", "backslashreplace").decode() for secret in SCANNER.take()]
    if hasattr(config, "workeroutput"):
        config.workeroutput["findings"] = asdict(own)
        return
    if received := config.stash[_RECEIVED]:  # the controller runs no tests
        merged = merge(received)
        merged.secrets += own.secrets
    else:
        merged = own
    config.stash[FINDINGS] = merged
    if lines := list(complaints(merged, passed=not session.testsfailed)):
        config.get_terminal_writer().line("\n" + "\n".join(lines), red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    findings = config.stash[FINDINGS]
    if findings.skipped:
        terminalreporter.section("END-TO-END TESTS DID NOT RUN", red=True, bold=True)
        terminalreporter.line(
            f"E2E=skip skipped all {findings.skipped} tests that need a Kubernetes API server.", red=True
        )
    elif findings.unavailable:
        terminalreporter.section("END-TO-END TESTS COULD NOT RUN", red=True, bold=True)
        terminalreporter.line(findings.unavailable, red=True)
