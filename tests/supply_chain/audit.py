"""
Check locked requirements for known vulnerabilities in OSV (https://osv.dev) with pip-audit:

    python -m tests.supply_chain.audit build/requirements.txt

The exit status is 1 if there is a vulnerability. If OSV does not answer, the command prints a prominent warning. Its exit
status is then 0, so that developers can work offline, or 2 if --strict is set. pip-audit itself does not distinguish the
two cases.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

OSV = "https://api.osv.dev/v1/query"
FINE, VULNERABLE, NOT_AUDITED = range(3)
LIMIT = 90
"""Seconds for the whole audit, because `make check` must take less than two minutes."""


def main() -> int:
    """Audit the requirements, print the result, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requirements", type=Path, help="what `uv export` wrote: with hashes")
    parser.add_argument("--strict", action="store_true", help="fail where nobody could be asked")
    parser.add_argument("--osv-url", default=OSV)
    options = parser.parse_args()
    report, error = audit(options.requirements, options.osv_url)
    found = [(each, hole) for each in report for hole in each.get("vulns", ())]
    for each, hole in found:
        fixed = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"{each['name']} {each['version']}: {hole['id']}, fixed in {fixed}: https://osv.dev/{hole['id']}")
    if found:
        return VULNERABLE
    missed = [each["name"] for each in report if "skip_reason" in each]
    if report and not missed:
        print(f"No known vulnerabilities in {len(report)} packages")
        return FINE
    reason = f"no answer about {', '.join(missed)}" if report else error
    print("=" * 100, f"NOT AUDITED FOR VULNERABILITIES: {reason}", "=" * 100, sep="\n")
    return NOT_AUDITED if options.strict else FINE


def audit(requirements: Path, osv_url: str) -> tuple[list[dict[str, Any]], str]:
    """Return pip-audit's result for each package, or an empty list and the reason."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--disable-pip"]
        command += ["--require-hashes", "--vulnerability-service", "osv", "--osv-url", osv_url, "--timeout", "10"]
        command += ["--format", "json", "--output", str(output), "--progress-spinner", "off", "--cache-dir", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return [], f"OSV took longer than {LIMIT} s"
        if not output.exists():
            return [], (done.stderr.strip() or "pip-audit said nothing").splitlines()[-1]
        return json.loads(output.read_text(encoding="utf-8"))["dependencies"], ""


if __name__ == "__main__":
    sys.exit(main())
