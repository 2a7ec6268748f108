"""Webhook bodies for chat and on-call services, checked against the documentation of the receivers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.api.notify_spec import WebhookFormat
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.status.cloud_event import cloud_event
from backupjobwatch.domain.status.notifications import Notification, due
from backupjobwatch.domain.status.slack_message import escape
from backupjobwatch.domain.status.webhook_request import webhook_request
from tests.support.builders import JOB_ID, NOW, OTHER_JOB_NAME, edit, job, running_job, settle, vast_payload, watch_body
from tests.support.receiver_schemas import SCHEMAS, accepted
from tests.unit.notifying import LATER

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.findings import Finding

KEY = "0123456789abcdef0123456789abcdef"
CHATS = ("Slack", "Teams")
EACH_FORMAT = pytest.mark.parametrize("form", SCHEMAS)


def body_of(finding: Finding, **spec: Any) -> dict[str, Any]:
    notify = [{"name": "n", "webhook": {"secretName": "s"}, "phases": ["Running", "Succeeded", "Failed"]}]
    return settle(watch_body({"jobResourceId": JOB_ID, "notify": notify, **spec}), finding, NOW)


def notice_of(body: dict[str, Any]) -> tuple[Watch, Notification]:
    watch = Watch.from_body(body)
    (notice,) = due(watch)
    return watch, notice


def sent(body: dict[str, Any], form: str) -> Any:
    """Return the JSON that a watch sends, after checking that the receiver accepts it."""
    headers, content = webhook_request(*notice_of(body), WebhookFormat(form), routing_key=KEY)
    assert headers == {"Content-Type": "application/json"}
    return accepted(form, content)


def headline(message: Any) -> str:
    """Return the headline of a message for Slack or Teams."""
    if "blocks" in message:
        return str(message["blocks"][0]["text"]["text"].partition(" ")[2])
    return str(card(message)["body"][0]["items"][0]["inlines"][0]["text"])


def card(message: Any) -> Any:
    return message["attachments"][0]["content"]


WARNED = {"status": "CompletedWithWarnings"}


@pytest.mark.parametrize("form", CHATS)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (body_of(running_job()), "Backup of uttestvmub1 is running"),
        (body_of(job()), "Backup of uttestvmub1 completed"),
        (body_of(job(**WARNED), completedWithWarnings="Succeeded"), "Backup of uttestvmub1 completed with warnings"),
        (body_of(job(**WARNED)), "Backup of uttestvmub1 completed with warnings"),
        (body_of(job(status="Failed")), "Backup of uttestvmub1 failed"),
        (body_of(job(status="Cancelled")), "Backup of uttestvmub1 was cancelled"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_headlines(body: dict[str, Any], words: str, form: str) -> None:
    """The headline says what happened to the job."""
    assert headline(sent(body, form)) == words


@pytest.mark.parametrize("form", CHATS)
@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"reason": "DeadlineExceeded"}, "BackupJobWatch team-a/nightly failed"),
        ({"reason": "JobNotFound", "job": None}, "BackupJobWatch team-a/nightly failed"),
        ({"reason": "JobFailed", "jobsTotal": 3}, "BackupJobWatch team-a/nightly failed"),
        ({"reason": "JobFailed", "job": {"operation": "Restore"}}, "Restore failed"),
        ({"reason": "JobFailed", "job": {"entityFriendlyName": "vm1"}}, "Job of vm1 failed"),
    ],
    ids=str,
)
def test_headline_of_the_watch(status: dict[str, Any], words: str, form: str) -> None:
    """If only the watch failed, or there are several jobs, the headline does not say that a job failed."""
    body = body_of(job(status="Failed"))
    body["status"] |= status
    assert headline(sent(body, form)) == words


def test_cloud_event() -> None:
    """The two formats of CloudEvents are the event with its attributes in the body, or in headers."""
    watch, notice = notice_of(body_of(job()))
    event = cloud_event(watch, notice)

    assert webhook_request(watch, notice, WebhookFormat.STRUCTURED) == event.structured()
    assert webhook_request(watch, notice, WebhookFormat.BINARY) == event.binary()


@EACH_FORMAT
def test_without_a_message(form: str) -> None:
    """A status with only a phase makes a valid body."""
    body = body_of(job(status="Failed"))
    status = body["status"]
    body["status"] = {name: status[name] for name in ("phase", "target", "observedGeneration", "conditions")}
    assert "team-a/nightly" in json.dumps(sent(body, form))


@EACH_FORMAT
@pytest.mark.parametrize("letter", ["x", "<", "é", "資", "😀", "\ud800"])
@pytest.mark.parametrize("status", ["InProgress", "Failed"])
def test_limits(form: str, status: str, letter: str) -> None:
    """The longest strings that Azure can send make a body that the receiver accepts."""
    body = body_of(parse_job(vast_payload(letter, status=status)))
    sent(body, form)


def test_slack() -> None:
    """The message has the text, the facts, and the kubectl command that shows the details."""
    message = sent(body_of(job(status="Failed")), "Slack")
    head, text, facts, context = message["blocks"]
    assert head["text"]["text"].startswith(":x: ")
    assert text["text"]["text"].startswith("Backup of uttestvmub1 failed after 20m23s.")
    assert message["text"] == f"{head['text']['text']}: {text['text']['text']}"
    told = dict(each["text"].split("\n") for each in facts["fields"])
    assert told == {
        "*Watch*": "team-a/nightly",
        "*Reason*": "JobFailed",
        "*Operation*": "Backup",
        "*Item*": "uttestvmub1",
        "*Vault*": "abdemovault",
        "*Azure status*": "Failed",
        "*Duration*": "20m23s",
        "*Finished*": "2018-05-21T09:00:00Z",
    }
    assert context["elements"][0]["text"] == "`kubectl describe backupjobwatch nightly --namespace team-a`"


def test_slack_mentions_are_escaped() -> None:
    """A name in a message can neither mention a channel nor become a link."""
    body = body_of(job(entityFriendlyName="<!channel> & <https://evil.test|vm> @here"))
    message = sent(body, "Slack")
    text = json.dumps(message)
    assert "<" not in text
    assert ">" not in text
    assert "&lt;!channel&gt; &amp; &lt;https://evil.test|vm&gt; @here" in text
    markdown = [each for block in message["blocks"] for each in [*block.get("fields", []), *block.get("elements", [])]]
    assert all(each["verbatim"] for each in markdown)


@pytest.mark.parametrize(
    ("text", "limit", "escaped"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("a<b", 6, "a&lt;b"),
        ("a<b", 5, "a…"),
        ("<<<<", 16, "&lt;&lt;&lt;&lt;"),
        ("<<<<<", 16, "&lt;&lt;&lt;…"),
        ("", 3, ""),
    ],
)
def test_escape(text: str, limit: int, escaped: str) -> None:
    """Truncation never splits an entity, and the limit applies to the escaped text."""
    assert escape(text, limit) == escaped
    assert len(escaped) <= limit


@pytest.mark.parametrize(
    ("body", "style"),
    [(body_of(running_job()), "accent"), (body_of(job()), "good"), (body_of(job(status="Failed")), "attention")],
    ids=["running", "succeeded", "failed"],
)
def test_teams(body: dict[str, Any], style: str) -> None:
    """The card has the colour of the phase, the text, the facts and the kubectl command."""
    top, message, facts, command = card(sent(body, "Teams"))["body"]
    assert top["style"] == style
    assert message["inlines"][0]["text"] == body["status"]["message"]
    told = [[run["text"] for run in fact["inlines"]] for fact in facts["items"]]
    assert told[0] == ["Watch: ", "team-a/nightly"]
    assert ["Vault: ", "abdemovault"] in told
    assert command["inlines"][0]["text"] == "kubectl describe backupjobwatch nightly --namespace team-a"


def test_teams_reads_no_markdown() -> None:
    """A name that contains Markdown is shown literally: no element of the card interprets Markdown."""
    name = "[vm](https://evil.test) **1**"
    shown = card(sent(body_of(job(entityFriendlyName=name)), "Teams"))
    assert ["Item: ", name] in [[run["text"] for run in fact["inlines"]] for fact in shown["body"][2]["items"]]


def test_pagerduty() -> None:
    """A failure triggers an alert. The success of the same watch, edited to follow the next job, resolves it."""
    failed = body_of(job(status="Failed"))
    alert = sent(failed, "PagerDuty")
    assert alert["event_action"] == "trigger"
    payload = alert["payload"]
    assert payload["summary"].startswith("Backup of uttestvmub1 failed: Backup of uttestvmub1 failed after 20m23s.")
    assert {name: value for name, value in payload.items() if name not in ("summary", "custom_details")} == {
        "source": "/apis/azurebackup.dev/v1alpha1/namespaces/team-a/backupjobwatches/nightly",
        "severity": "error",
        "timestamp": "2018-05-21T09:00:00Z",
        "component": "uttestvmub1",
        "group": "abdemovault",
        "class": "JobFailed",
    }
    assert payload["custom_details"] == json.loads(json.dumps(dict(cloud_event(*notice_of(failed)).data)))

    repaired = edit(failed, jobResourceId=JOB_ID[:-36] + OTHER_JOB_NAME)
    resolved = sent(settle(repaired, job(name=OTHER_JOB_NAME), LATER), "PagerDuty")
    assert resolved == {"routing_key": KEY, "event_action": "resolve", "dedup_key": alert["dedup_key"]}


def test_pagerduty_alerts_are_of_one_watch() -> None:
    """A watch never resolves the alert of another watch, even of one with the same name in another cluster."""
    body = body_of(job(status="Failed"))
    watch, notice = notice_of(body)
    _, content = webhook_request(replace(watch, uid="other"), notice, WebhookFormat.PAGERDUTY, routing_key=KEY)
    assert json.loads(content)["dedup_key"] != sent(body, "PagerDuty")["dedup_key"]
