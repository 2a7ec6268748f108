"""`kubectl bjw list` and `tasks` on a real API server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import IO, TYPE_CHECKING

import pytest
import yaml

from backupjobwatch import __version__
from tests.support.plugin import AGENT, Plugin, Screen, Written, ended
from tests.support.watches import until

if TYPE_CHECKING:
    from pathlib import Path

    from demo.controlplane import ControlPlane, Faults, Kubectl

RED = "\x1b[1;31m"
GREEN = "\x1b[1;32m"


@pytest.fixture
def three(written: Written) -> Written:
    """A watch of a successful job, one of a failed job, and one that the operator has not processed."""
    written.create("done", {"stage": "prod"})
    written.become("done", "job-iaasvm-completed", entityFriendlyName="vm-1")
    written.create("broken", {"stage": "test"})
    written.become("broken", "job-iaasvm-failed", entityFriendlyName="vm-2")
    written.create("fresh", {"stage": "prod"})
    return written


def rows(text: str) -> dict[str, list[str]]:
    """Return the rows of a table by their first cell."""
    return {cells[0]: cells[1:] for cells in (re.split(r" {2,}", line) for line in text.splitlines())}


def until_line(lines: IO[str], words: str) -> None:
    """Read until a line contains *words*."""
    assert any(words in line for line in iter(lines.readline, ""))


def test_list(plugin: Plugin, three: Written) -> None:
    """The table has a row for each watch, in order of names, and no control sequences."""
    done = plugin("list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    table = rows(done.stdout)
    assert list(table) == ["NAME", "broken", "done", "fresh"]
    assert table["NAME"] == ["PHASE", "REASON", "OPERATION", "ITEM", "PROGRESS", "DURATION", "STARTED", "AGE"]
    assert table["done"][:4] == ["Succeeded", "JobCompleted", "Backup", "vm-1"]
    assert table["broken"][:4] == ["Failed", "JobFailed", "Backup", "vm-2"]
    assert table["fresh"][0] == "Unseen"


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (("-l", "stage=prod"), {"done", "fresh"}),
        (("--selector", "stage!=prod"), {"broken"}),
        ((), {"done", "broken", "fresh"}),
    ],
)
def test_selector(plugin: Plugin, three: Written, args: tuple[str, ...], names: set[str]) -> None:
    """`-l` selects watches as in kubectl, and `-o name` prints names that kubectl accepts."""
    done = plugin("list", *args, "-o", "name")
    assert set(done.stdout.split()) == {f"backupjobwatch.azurebackup.dev/{name}" for name in names}


def test_output(plugin: Plugin, three: Written, kubectl: Kubectl) -> None:
    """`-o json` and `-o yaml` print the same as `kubectl get`."""
    got = json.loads(kubectl("get", "bjw", "-n", three.namespace, "-o", "json").stdout)
    assert json.loads(plugin("list", "-o", "json").stdout) == {**got, "metadata": {}}
    assert yaml.safe_load(plugin("list", "-o", "yaml").stdout) == {**got, "metadata": {}}


def test_all_namespaces(plugin: Plugin, three: Written) -> None:
    """`-A` lists the watches of all namespaces, with a namespace column."""
    lines = plugin("list", "-A").stdout.splitlines()
    assert lines[0].startswith("NAMESPACE ")
    ours = [line.split()[1] for line in lines if line.startswith(f"{three.namespace} ")]
    assert ours == ["broken", "done", "fresh"]


@pytest.mark.parametrize("place", ["before", "behind", "context"])
def test_namespace(plugin: Plugin, three: Written, kubectl: Kubectl, tmp_path: Path, place: str) -> None:
    """The namespace comes from the option, before or after the command, or from the kubeconfig's context."""
    anywhere = plugin.in_namespace("")
    if place == "context":
        config = tmp_path / "config"
        config.write_text(kubectl("config", "view", "--raw", "--minify").stdout, "utf-8")
        kubectl("config", "set-context", "--current", f"--namespace={three.namespace}", f"--kubeconfig={config}")
        args: tuple[str, ...] = ("list", "--kubeconfig", str(config))
    else:
        args = ("-n", three.namespace, "list") if place == "before" else ("list", "-n", three.namespace)
    assert len(anywhere(*args, "-o", "name").stdout.split()) == 3


def test_nothing(plugin: Plugin) -> None:
    """If there are no watches, standard error says so in kubectl's words."""
    done = plugin("list")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"No resources found in {plugin.namespace} namespace.\n"
    assert json.loads(plugin("list", "-o", "json").stdout)["items"] == []


def test_user_agent(plugin: Plugin, written: Written, control_plane: ControlPlane) -> None:
    """The plugin has its own User-Agent, different from those of the operator and kubectl."""
    written.create("one")
    plugin("list")
    agents = {request.agent for request in control_plane.requests.where(agent=AGENT)}
    assert agents == {f"kubectl-bjw/{__version__}"}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "not for you"),
        (401, "refused your credentials"),
        (500, "not for you"),
        (None, "no response from https://"),
    ],
)
def test_failed_list(plugin: Plugin, faults: Faults, status: int | None, words: str) -> None:
    """A failed list prints one line and exits with 3."""
    from demo.controlplane import Fault

    faults.add(Fault(path="/backupjobwatches", agent=AGENT, status=status, message="not for you"))
    done = plugin("list")
    assert (done.returncode, done.stdout) == (3, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("list", "--context", "nowhere"), "the context nowhere does not exist. Use one of: "),
        (("list", "--kubeconfig", "nowhere"), "the file nowhere does not exist"),
        (("list", "--watch", "-o", "json"), "Remove --output or --watch."),
        (("list", "--colour"), "No such option"),
        (("lists",), "No such command"),
        (("tasks",), "NAME is missing. Pass the name of a watch, --selector or --all."),
    ],
)
def test_wrong_usage(plugin: Plugin, args: tuple[str, ...], words: str) -> None:
    """Wrong usage exits with 3 and a message about the mistake."""
    done = plugin.in_namespace("")(*args)
    assert (done.returncode, done.stdout) == (3, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_screen(plugin: Plugin, three: Written) -> None:
    """At a terminal, phases have colors, unless NO_COLOR is set."""
    with Screen(plugin, "list", by_kubectl=True) as screen:
        assert screen.end() == 0
        assert f"{GREEN}Succeeded" in screen.text
        assert f"{RED}Failed" in screen.text
    with Screen(plugin, "list", NO_COLOR="1") as screen:
        assert screen.end() == 0
        assert "Succeeded" in screen.text
        assert "\x1b[1;32m" not in screen.text


def test_watch_updates_the_table(plugin: Plugin, written: Written, faults: Faults) -> None:
    """`--watch` updates the table in place on every change, also after its stream was cut."""
    written.create("nightly")
    written.become("nightly", "job-iaasvm-inprogress")
    with Screen(plugin, "list", "--watch") as screen:
        seen = screen.until("nightly.*Running")
        written.become("nightly", "job-iaasvm-completed")
        seen = screen.until("nightly.*Succeeded", after=seen)
        written.create("other")
        seen = screen.until("other.*Unseen", after=seen)
        until(lambda: faults.cut_watches(agent=AGENT))
        written.become("other", "job-iaasvm-failed")
        seen = screen.until("other.*Failed", after=seen)
        written.delete("nightly")
        written.delete("other")
        screen.until(f"No resources found in {written.namespace} namespace", after=seen)
        assert screen.interrupt() == 130
        assert "Traceback" not in screen.text


def test_live_through_an_outage(plugin: Plugin, written: Written, faults: Faults) -> None:
    """During an API server outage, the table stays and says that it may be outdated. Then it continues."""
    written.create("nightly")
    with Screen(plugin, "list", "--watch") as screen:
        seen = screen.until("nightly.*Unseen")
        faults.gone(spare="^e2e-test")
        seen = screen.until("nightly.*Unseen(?s:.*)retrying, the table may be outdated", after=seen)
        written.become("nightly", "job-iaasvm-failed")
        faults.back()
        screen.until("nightly.*Failed", after=seen)
        assert screen.interrupt() == 130


def test_watch_in_a_pipe(plugin: Plugin, written: Written, faults: Faults) -> None:
    """In a pipe `--watch` prints one line per change, and lists again after 410 Gone."""
    from demo.controlplane import Fault

    written.create("nightly")
    process = plugin.start("list", "--watch")
    assert process.stdout is not None
    assert process.stdout.readline().split()[1:] == ["nightly", "Unseen"]
    written.create("other")
    until_line(process.stdout, "other  Unseen")  # the stream is open
    faults.add(Fault(path="/backupjobwatches$", verb="watch", agent=AGENT, status=410, times=1))
    until(lambda: faults.cut_watches(agent=AGENT))
    written.become("nightly", "job-iaasvm-failed")
    until_line(process.stdout, "nightly  Failed  Backup of ")
    written.delete("nightly")
    until_line(process.stdout, "nightly  deleted")
    process.terminate()
    code, _, said = ended(process)
    assert code == 143
    assert "was interrupted" in said
    assert "Traceback" not in said


def test_tasks(plugin: Plugin, three: Written) -> None:
    """`tasks` prints the job with indented tasks, then Azure's errors with their recommendations."""
    done = plugin("tasks", "bjw/done")
    assert (done.returncode, done.stderr) == (0, "")
    heads, job, *others = done.stdout.splitlines()
    assert heads.split() == ["NAME", "STATUS", "PROGRESS", "DURATION", "DETAILS"]
    assert re.match(r"done +Succeeded +\w+ +Backup of vm-1$", job)
    assert [line for line in others if re.match(r"  Take Snapshot +Completed", line)]
    assert all(line.startswith("  ") for line in others)
    broken = plugin("tasks", "broken").stdout
    assert re.search(r"^Error \d+: UserError\w+: .+\n  Recommendation: .+$", broken, re.MULTILINE)


def test_tasks_of_several(plugin: Plugin, three: Written) -> None:
    """Several watches share a table, and messages name their watch. For a missing watch the exit code is 3."""
    done = plugin("tasks", "--all")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines() if not line.startswith((" ", "backupjobwatch"))]
    assert names == ["NAME", "broken", "done", "fresh"]
    assert re.search(r"^backupjobwatch.azurebackup.dev/broken: Error \d+", done.stdout, re.MULTILINE)
    assert done.stderr.startswith("backupjobwatch.azurebackup.dev/fresh: There are no tasks yet. ")
    assert "done" not in plugin("tasks", "-l", "stage=test").stdout
    done = plugin("tasks", "done", "missing", "broken")
    assert done.returncode == 3
    assert "broken" in done.stdout
    assert '"missing" not found' in done.stderr


def test_tasks_at_a_terminal(plugin: Plugin, three: Written) -> None:
    """At a terminal, the tasks are below the job, in colors."""
    with Screen(plugin, "tasks", "done") as screen:
        assert screen.end() == 0
        assert f"{GREEN}Succeeded" in screen.text
        assert "Take Snapshot" in screen.text


def test_no_tasks(plugin: Plugin, three: Written) -> None:
    """If there are no tasks, standard error gives the reason."""
    unseen = "There are no tasks yet. The operator has not processed this watch. Check that the operator is running.\n"
    assert plugin("tasks", "fresh").stderr == unseen
    three.become("fresh", "job-iaasvm-inprogress", extendedInfo=None)
    assert plugin("tasks", "fresh").stderr == "Azure reports no tasks for this job.\n"
    three.create("lost", graceSeconds=0)
    three.fail("lost", message="The job was not found.")
    assert plugin("tasks", "lost").stderr.startswith("There are no tasks. The job was not found.")
    done = plugin("tasks", "nothing")
    assert done.returncode == 3
    assert '"nothing" not found' in done.stderr


def test_credential_plugin(plugin: Plugin, three: Written, kubectl: Kubectl, tmp_path: Path) -> None:
    """If a credential plugin fails, the message quotes it, and the command exits with 3."""
    document = yaml.safe_load(kubectl("config", "view", "--raw", "--minify").stdout)
    execute = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", "exit('log in')"],
    }
    document["users"][0]["user"] = {"exec": execute}
    config = tmp_path / "config"
    config.write_text(yaml.safe_dump(document), "utf-8")
    done = plugin("list", "--kubeconfig", str(config))
    assert done.returncode == 3
    assert "exec: process returned 1" in done.stderr
    assert "log in" in done.stderr


def test_closed_pipe(plugin: Plugin, three: Written) -> None:
    """The command exits silently when the reader of its output closes the pipe."""
    script = f"{' '.join(plugin.command('list'))} | true"
    done = subprocess.run(
        ["/bin/sh", "-c", script], env=plugin.environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
