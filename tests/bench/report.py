"""The report."""
from __future__ import annotations
def write_report(document, results, folder):
    return []
