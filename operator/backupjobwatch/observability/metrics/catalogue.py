"""The catalogue of metrics: name, type, labels with their values, and meaning.

The registry, docs/metrics.md and the tests use it. A label with listed values has no other value: anything else counts as
``Other``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from backupjobwatch.domain.status.summary import OTHER, OUTCOMES, PHASES, REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX: Final = "backupjobwatch_"

OPERATIONS: Final = ("get_job", "list_jobs", "get_operation", "get_secondary_job", "start_backup", "token")
CODES: Final = (
    *("200", "202", "204", "400", "401", "403", "404", "408", "409", "412", "429"),
    *("500", "502", "503", "504", "none"),
)
"""HTTP statuses with a label value of their own. ``none`` means no answer."""
RESULTS: Final = ("success", "throttled", "refused", "failed", "unreachable")
ANSWERS: Final = ("asked", "listed", "joined", "deferred")
QUEUES: Final = ("reconcile", "events", "ttl", "backup")
WRITE_REASONS: Final = ("transition", "change", "heartbeat")
WRITE_RESULTS: Final = ("written", "conflict", "gone", "failed")
TOKEN_TROUBLE: Final = (
    *("AuthenticationFailed", "AzureUnavailable", "CredentialsNotFound", "CredentialsUnavailable"),
    *("IdentityNotAllowed", OTHER),
)
OWNERS: Final = ("operator", "namespace")
CHANNELS: Final = ("webhook", "flux", "argocd", OTHER)
DELIVERIES: Final = ("delivered", "retried", "failed")
BACKUP_ANSWERS: Final = ("accepted", "refused", "uncertain", "not_sent")
LEFT_OUT_KINDS: Final = ("watches", "subscriptions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric, as PromQL sees it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values of each label. Empty if the cluster or Azure defines them."""
    buckets: tuple[float, ...] = ()
    meaning: str

    @property
    def unit(self) -> str:
        """The unit of its values, in words."""
        if self.name.endswith("_timestamp_seconds"):
            return "Unix time"
        return "seconds" if self.name.endswith("_seconds") else ""

    def bound(self, label: str, value: str) -> str:
        """Return *value*, or ``Other`` if it is not among the listed values."""
        values = self.labels[label]
        return value if not values or value in values else OTHER


_counter: Final = partial(Metric, kind="counter")
_gauge: Final = partial(Metric, kind="gauge")
_histogram: Final = partial(Metric, kind="histogram")
_WATCH: Final[Mapping[str, tuple[str, ...]]] = {"namespace": (), "name": ()}

BUILD: Final = _gauge(
    name=f"{PREFIX}build_info",
    labels={"version": (), "python": ()},
    meaning="Always 1. The labels contain the versions of the operator and of Python.",
)
LEADER: Final = _gauge(
    name=f"{PREFIX}leader",
    meaning="1 in the process that follows the watches, 0 in a standby. Only the former exports series of watches.",
)
WATCHES: Final = _gauge(
    name=f"{PREFIX}watches",
    labels={"phase": PHASES, "reason": REASONS},
    meaning="Existing watches by phase and reason.",
)
OUTCOMES_TOLD: Final = _counter(
    name=f"{PREFIX}outcomes_total",
    labels={"phase": tuple(OUTCOMES), "reason": (*dict.fromkeys(sum(OUTCOMES.values(), ())), OTHER)},
    meaning=(
        "Watches that finished while this process ran. The operator counts a watch when it creates the Event for the outcome, "
        "so restarts and replicas do not count it twice. If the response to that request is lost, the watch is not counted."
    ),
)
WATCH: Final = _gauge(
    name=f"{PREFIX}watch_info",
    labels={**_WATCH, "phase": PHASES, "reason": REASONS},
    meaning="1 for each watch, with its current phase and reason.",
)
WATCH_START: Final = _gauge(
    name=f"{PREFIX}watch_job_start_timestamp_seconds",
    labels=_WATCH,
    meaning="When the job of the watch started, as reported by Azure.",
)
WATCH_DURATION: Final = _gauge(
    name=f"{PREFIX}watch_job_duration_seconds",
    labels=_WATCH,
    meaning="Duration of the job, as of the last write of the status.",
)
WATCH_COMPLETION: Final = _gauge(
    name=f"{PREFIX}watch_completion_timestamp_seconds",
    labels=_WATCH,
    meaning="When the watch finished, on success or failure.",
)
WATCH_TROUBLE: Final = _gauge(
    name=f"{PREFIX}watch_trouble_timestamp_seconds",
    labels=_WATCH,
    meaning=(
        "When the job of the watch became unreadable or was reported as missing. Absent for readable jobs and "
        "for finished watches."
    ),
)
LEFT_OUT: Final = _gauge(
    name=f"{PREFIX}left_out",
    labels={"what": LEFT_OUT_KINDS},
    meaning=(
        "Number of watches beyond `BACKUPJOBWATCH_METRICS_WATCH_LIMIT`, and of subscriptions beyond 50. They have no series of "
        "their own."
    ),
)
OVERDUE: Final = _gauge(
    name=f"{PREFIX}poll_overdue_seconds",
    meaning="Delay of the most overdue poll of any watch.",
)
POLL_LAG: Final = _histogram(
    name=f"{PREFIX}poll_lag_seconds",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800),
    meaning="Time from when a poll was due until Azure responded.",
)
RESYNC: Final = _gauge(
    name=f"{PREFIX}last_resync_timestamp_seconds",
    meaning="When the last resync listed all watches. 0 before the first one.",
)
QUEUE_DEPTH: Final = _gauge(
    name=f"{PREFIX}workqueue_depth",
    labels={"queue": QUEUES},
    meaning=(
        "Keys that wait for a worker of a work queue: watches to reconcile (`reconcile`), Events to write (`events`), "
        "finished watches to delete (`ttl`), backups to request (`backup`). Delayed keys do not count."
    ),
)
QUEUE_WAIT: Final = _histogram(
    name=f"{PREFIX}workqueue_queue_duration_seconds",
    labels={"queue": QUEUES},
    buckets=(0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60),
    meaning="How long a key waits in a work queue until a worker takes it.",
)
QUEUE_RETRIES: Final = _counter(
    name=f"{PREFIX}workqueue_retries_total",
    labels={"queue": QUEUES},
    meaning="Keys that were queued again with backoff, after their processing failed.",
)
REQUESTS: Final = _counter(
    name=f"{PREFIX}azure_requests_total",
    labels={"operation": OPERATIONS, "result": RESULTS, "code": (*CODES, OTHER)},
    meaning=(
        "HTTP requests to Azure Resource Manager. Each page of a list counts. `token` requests go to Entra or the metadata "
        "service."
    ),
)
LATENCY: Final = _histogram(
    name=f"{PREFIX}azure_request_duration_seconds",
    labels={"operation": OPERATIONS},
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
    meaning="Duration of these requests until the end of the response or the timeout.",
)
READS: Final = _counter(
    name=f"{PREFIX}azure_reads_total",
    labels={"answer": ANSWERS},
    meaning=(
        "Reads of Azure. `asked`: the operator sent a request for a job, an operation or a page of a list. `listed`: a list "
        "updated the job of one or more watches. `joined`: a poll was due while its request was in flight. `deferred`: a poll "
        "was due while the previous one still waited for the read budget or for the end of a pause."
    ),
)
BUDGET: Final = _gauge(
    name=f"{PREFIX}azure_budget_reads",
    labels={"subscription": ()},
    meaning="Tokens in the read budget of a subscription. With several identities, the lowest value.",
)
REMAINING: Final = _gauge(
    name=f"{PREFIX}azure_remaining_requests",
    labels={"subscription": ()},
    meaning="Azure's latest count of remaining requests, if a response of the last five minutes contained one. With several counts, the lowest.",
)
WAIT: Final = _gauge(
    name=f"{PREFIX}azure_wait_seconds",
    labels={"subscription": ()},
    meaning="Time until the operator may send requests of every kind again after a 429 or a `Retry-After`. 0 without a pause.",
)
TOKEN_FAILURES: Final = _counter(
    name=f"{PREFIX}token_failures_total",
    labels={"owner": OWNERS, "reason": TOKEN_TROUBLE},
    meaning="Failed attempts to get a token, for the identity of the operator or of a namespace.",
)
WRITES: Final = _counter(
    name=f"{PREFIX}status_writes_total",
    labels={"reason": WRITE_REASONS, "result": WRITE_RESULTS},
    meaning=(
        "Status writes because of a `transition` of phase or reason, another `change`, or the `heartbeat`. `conflict`: the "
        "object was edited, and the operator retries. `gone`: the object was deleted."
    ),
)
NOTIFICATIONS: Final = _counter(
    name=f"{PREFIX}notifications_total",
    labels={"channel": CHANNELS, "result": DELIVERIES},
    meaning="Attempts to deliver a notification of `spec.notify`. `retried`: the attempt failed, and another follows.",
)
BACKUP_REQUESTS: Final = _counter(
    name=f"{PREFIX}backup_requests_total",
    labels={"result": BACKUP_ANSWERS},
    meaning=(
        "Attempts to request a backup for `spec.onDemand`. `accepted`: Azure named the operation. `refused`: it is certain that "
        "Azure started no backup. `uncertain`: the answer was lost. `not_sent`: the operator sent nothing, because the watch changed, "
        "or there was no credential."
    ),
)
LOOP_LAG: Final = _histogram(
    name=f"{PREFIX}event_loop_lag_seconds",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30),
    meaning="Delay with which the event loop resumes a task that slept for one second.",
)

ALL: Final = (
    *(BUILD, LEADER, WATCHES, OUTCOMES_TOLD, WATCH, WATCH_START, WATCH_DURATION, WATCH_COMPLETION, WATCH_TROUBLE),
    *(LEFT_OUT, OVERDUE, POLL_LAG, RESYNC, REQUESTS, LATENCY, READS, BUDGET, REMAINING, WAIT, TOKEN_FAILURES, WRITES),
    *(NOTIFICATIONS, BACKUP_REQUESTS, QUEUE_DEPTH, QUEUE_WAIT, QUEUE_RETRIES, LOOP_LAG),
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
