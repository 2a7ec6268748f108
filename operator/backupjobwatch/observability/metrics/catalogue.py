"""Every metric, once: its name, type, labels with the values that they can have, and what it means.

What is counted, what docs/metrics.md lists and what tests look for all come from here. A label whose values are listed
never has another: whatever is not among them is counted as ``Other``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from backupjobwatch.domain.status.summary import OTHER, OUTCOMES, PHASES, REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX: Final = "backupjobwatch_"

OPERATIONS: Final = ("get_job", "list_jobs", "get_operation", "token")
CODES: Final = (
    *("200", "202", "204", "400", "401", "403", "404", "408", "409", "412", "429"),
    *("500", "502", "503", "504", "none"),
)
"""HTTP statuses that are told apart; ``none`` is for no answer."""
RESULTS: Final = ("success", "throttled", "refused", "failed", "unreachable")
ANSWERS: Final = ("asked", "listed", "joined", "deferred")
QUEUES: Final = ("reconcile", "events", "ttl")
WRITE_REASONS: Final = ("transition", "change", "heartbeat")
WRITE_RESULTS: Final = ("written", "conflict", "gone", "failed")
TOKEN_TROUBLE: Final = (
    *("AuthenticationFailed", "AzureUnavailable", "CredentialsNotFound", "CredentialsUnavailable"),
    *("IdentityNotAllowed", OTHER),
)
OWNERS: Final = ("operator", "namespace")
CHANNELS: Final = ("webhook", "flux", "argocd", OTHER)
DELIVERIES: Final = ("delivered", "retried", "failed")
LEFT_OUT_KINDS: Final = ("watches", "subscriptions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric, as PromQL sees it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each label, its values; none are listed where the cluster or Azure names them."""
    buckets: tuple[float, ...] = ()
    meaning: str

    @property
    def unit(self) -> str:
        """The unit of its values, in words."""
        if self.name.endswith("_timestamp_seconds"):
            return "Unix time"
        return "seconds" if self.name.endswith("_seconds") else ""

    def bound(self, label: str, value: str) -> str:
        """Return *value*, or ``Other`` where it is none of those that are listed."""
        values = self.labels[label]
        return value if not values or value in values else OTHER


_WATCH: Final[Mapping[str, tuple[str, ...]]] = {"namespace": (), "name": ()}

BUILD: Final = Metric(
    name=f"{PREFIX}build_info",
    kind="gauge",
    labels={"version": (), "python": ()},
    meaning="1, for this version of the operator.",
)
LEADER: Final = Metric(
    name=f"{PREFIX}leader",
    kind="gauge",
    meaning="1 in the process that follows the watches, 0 in one that stands by. Only the former has watches to tell of.",
)
WATCHES: Final = Metric(
    name=f"{PREFIX}watches",
    kind="gauge",
    labels={"phase": PHASES, "reason": REASONS},
    meaning="Watches that exist, by what their status says.",
)
OUTCOMES_TOLD: Final = Metric(
    name=f"{PREFIX}outcomes_total",
    kind="counter",
    labels={"phase": tuple(OUTCOMES), "reason": (*dict.fromkeys(sum(OUTCOMES.values(), ())), OTHER)},
    meaning=(
        "Watches that ended while this process ran. Each is counted when its Event is made, whose name is the same for "
        "whoever tells it: never twice, by no restart and no second replica. One whose Event's answer was lost is not."
    ),
)
WATCH: Final = Metric(
    name=f"{PREFIX}watch_info",
    kind="gauge",
    labels={**_WATCH, "phase": PHASES, "reason": REASONS},
    meaning="1 for each watch, with its present phase and reason.",
)
WATCH_START: Final = Metric(
    name=f"{PREFIX}watch_job_start_timestamp_seconds",
    kind="gauge",
    labels=_WATCH,
    meaning="When the watch's job started, by Azure.",
)
WATCH_DURATION: Final = Metric(
    name=f"{PREFIX}watch_job_duration_seconds",
    kind="gauge",
    labels=_WATCH,
    meaning="How long the watch's job has taken, as of the last write of its status.",
)
WATCH_COMPLETION: Final = Metric(
    name=f"{PREFIX}watch_completion_timestamp_seconds",
    kind="gauge",
    labels=_WATCH,
    meaning="When the watch ended, in success or failure.",
)
WATCH_TROUBLE: Final = Metric(
    name=f"{PREFIX}watch_trouble_timestamp_seconds",
    kind="gauge",
    labels=_WATCH,
    meaning=(
        "Since when Azure cannot be asked about the watch's job, or says that it is not there. Absent while all is well "
        "and for watches that ended."
    ),
)
LEFT_OUT: Final = Metric(
    name=f"{PREFIX}left_out",
    kind="gauge",
    labels={"what": LEFT_OUT_KINDS},
    meaning=(
        "Watches beyond `BACKUPJOBWATCH_METRICS_WATCH_LIMIT`, and subscriptions beyond 50, which have no series of their "
        "own."
    ),
)
OVERDUE: Final = Metric(
    name=f"{PREFIX}poll_overdue_seconds",
    kind="gauge",
    meaning="How long the most overdue poll of any watch has been due.",
)
POLL_LAG: Final = Metric(
    name=f"{PREFIX}poll_lag_seconds",
    kind="histogram",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800),
    meaning="Time from when a poll was due until Azure answered it.",
)
RESYNC: Final = Metric(
    name=f"{PREFIX}last_resync_timestamp_seconds",
    kind="gauge",
    meaning="When the last resync listed all watches. 0 before the first one.",
)
QUEUE_DEPTH: Final = Metric(
    name=f"{PREFIX}workqueue_depth",
    kind="gauge",
    labels={"queue": QUEUES},
    meaning=(
        "Keys that wait for a worker of a work queue: watches to reconcile (`reconcile`), Events to write (`events`), "
        "finished watches to delete (`ttl`). Delayed keys do not count."
    ),
)
QUEUE_WAIT: Final = Metric(
    name=f"{PREFIX}workqueue_queue_duration_seconds",
    kind="histogram",
    labels={"queue": QUEUES},
    buckets=(0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60),
    meaning="How long a key waits in a work queue until a worker takes it.",
)
QUEUE_RETRIES: Final = Metric(
    name=f"{PREFIX}workqueue_retries_total",
    kind="counter",
    labels={"queue": QUEUES},
    meaning="Keys that were queued again with backoff, after their processing failed.",
)
REQUESTS: Final = Metric(
    name=f"{PREFIX}azure_requests_total",
    kind="counter",
    labels={"operation": OPERATIONS, "result": RESULTS, "code": (*CODES, OTHER)},
    meaning=(
        "HTTP requests to Azure Resource Manager, each page of a list by itself; those of `token` to Entra or the metadata "
        "service."
    ),
)
LATENCY: Final = Metric(
    name=f"{PREFIX}azure_request_duration_seconds",
    kind="histogram",
    labels={"operation": OPERATIONS},
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
    meaning="How long these requests took, to the end of the answer or of the patience with it.",
)
READS: Final = Metric(
    name=f"{PREFIX}azure_reads_total",
    kind="counter",
    labels={"answer": ANSWERS},
    meaning=(
        "Reads of Azure. `asked`: the operator sent a request for a job, an operation or a page of a list. `listed`: a list "
        "updated the job of one or more watches. `joined`: a poll was due while its request was in flight. `deferred`: a poll "
        "was due while the previous one still waited for the read budget or for the end of a pause."
    ),
)
BUDGET: Final = Metric(
    name=f"{PREFIX}azure_budget_reads",
    kind="gauge",
    labels={"subscription": ()},
    meaning="Tokens in the read budget of a subscription. With several identities, the lowest count.",
)
REMAINING: Final = Metric(
    name=f"{PREFIX}azure_remaining_requests",
    kind="gauge",
    labels={"subscription": ()},
    meaning="Azure's latest count of remaining requests, if a response of the last five minutes had one. With several, the lowest.",
)
WAIT: Final = Metric(
    name=f"{PREFIX}azure_wait_seconds",
    kind="gauge",
    labels={"subscription": ()},
    meaning="Time until the operator may send requests of every kind again after a 429 or a `Retry-After`. 0 without a pause.",
)
TOKEN_FAILURES: Final = Metric(
    name=f"{PREFIX}token_failures_total",
    kind="counter",
    labels={"owner": OWNERS, "reason": TOKEN_TROUBLE},
    meaning="Tokens that could not be had: for the operator's own identity, or for one of a watch's namespace.",
)
WRITES: Final = Metric(
    name=f"{PREFIX}status_writes_total",
    kind="counter",
    labels={"reason": WRITE_REASONS, "result": WRITE_RESULTS},
    meaning=(
        "Writes of a status: for a `transition` of phase or reason, another `change`, or the `heartbeat`. A `conflict` is "
        "with somebody's edit, and tried again; `gone` is the object."
    ),
)
NOTIFICATIONS: Final = Metric(
    name=f"{PREFIX}notifications_total",
    kind="counter",
    labels={"channel": CHANNELS, "result": DELIVERIES},
    meaning="Attempts to deliver a notification of `spec.notify`: `retried` are those that will be repeated.",
)
LOOP_LAG: Final = Metric(
    name=f"{PREFIX}event_loop_lag_seconds",
    kind="histogram",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30),
    meaning="How late the event loop comes back to a task that slept for a second.",
)

ALL: Final = (
    *(BUILD, LEADER, WATCHES, OUTCOMES_TOLD, WATCH, WATCH_START, WATCH_DURATION, WATCH_COMPLETION, WATCH_TROUBLE),
    *(LEFT_OUT, OVERDUE, POLL_LAG, RESYNC, REQUESTS, LATENCY, READS, BUDGET, REMAINING, WAIT, TOKEN_FAILURES, WRITES),
    *(NOTIFICATIONS, QUEUE_DEPTH, QUEUE_WAIT, QUEUE_RETRIES, LOOP_LAG),
)


def as_markdown() -> Iterator[str]:
    """Yield the lines of the table in docs/metrics.md."""
    yield "| metric | type | labels | unit | meaning |"
    yield "|---|---|---|---|---|"
    for metric in ALL:
        labels = "; ".join(
            f"`{label}`" + (f": {', '.join(f'`{value}`' for value in values)}" if values else "")
            for label, values in metric.labels.items()
        )
        yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.unit} | {metric.meaning} |"
