"""``kubectl_complete-bjw``: kubectl runs it to complete a command line of ``kubectl bjw``.

The arguments are the words after ``bjw``; the last one is incomplete. The output is one candidate per line, with its
description after a tab, and a directive to the shell at the end.
https://github.com/kubernetes/kubernetes/blob/v1.36.0/staging/src/k8s.io/kubectl/pkg/cmd/plugin/plugin_completion.go
"""

from __future__ import annotations

import logging
import sys
from typing import Final

import click
from click.shell_completion import ShellComplete

from backupjobwatch.kubectl.main import bjw

_FILES: Final = 0
"""Let the shell offer files: https://pkg.go.dev/github.com/spf13/cobra#ShellCompDirective."""
_NO_FILES: Final = 4


def main() -> None:
    """Print the candidates. Errors are silent, because the shell would insert them into the command line."""
    logging.disable()
    *words, incomplete = sys.argv[1:] or [""]
    found = ShellComplete(bjw, {}, "kubectl bjw", "").get_completions(words, incomplete)
    for item in found:
        if item.type == "plain":
            click.echo("\t".join(filter(None, (item.value, " ".join((item.help or "").split())))))
    click.echo(f":{_FILES if any(item.type != 'plain' for item in found) else _NO_FILES}")
