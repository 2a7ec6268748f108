"""If kopf stops because of API server errors, the operator restarts it and loses nothing."""

from __future__ import annotations

import asyncio
import getpass
import pwd
from typing import TYPE_CHECKING, NoReturn

import pytest

from backupjobwatch.app import CRD_DELETED
from tests.functional.notifying import SETTINGS, notifications, webhook
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

ERROR = (
    '{"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd event received with PrevKv=nil"}}\n'
)
LISTS = "^GET .*/backupjobwatches$"


async def test_work_in_progress_resumes(
    api: KubernetesApi, vault: Vault, start: StartOperator, caplog: pytest.LogCaptureFixture
) -> None:
    """After the restart, the operator retries a pending delivery and follows a job to its end in the same process."""
    async with Receiver() as receiver, start(**SETTINGS) as operator:
        receiver.then = 503
        job_id = vault.set_job(JOB_NAME, job_payload())
        api.create({"jobResourceId": job_id, "notify": [webhook(receiver.url)]})
        api.create({"jobResourceId": vault.set_job(OTHER_JOB_NAME, running_payload())}, "other")
        await receiver.received()
        await api.status("other", phase="Running")
        failure = api.traffic.fail(LISTS, status=200, times=2, body=ERROR)
        api.cut_streams()
        async with asyncio.timeout(120):
            while "The watch stream failed" not in caplog.text:  # noqa: ASYNC110 -- no event to await
                await asyncio.sleep(0.1)
        failure.end()
        before = api.watched
        receiver.then = 200
        operator.advance(6)
        await api.until(lambda: api.watched > before)
        vault.set_job(OTHER_JOB_NAME, job_payload())
        await operator.advance_until(lambda: notifications(api) and api.get("other")["status"]["phase"] == "Succeeded")
        operator.advance(660)  # kopf would kill the process ten minutes after it has failed
        await operator.advance_until(lambda: api.get("other")["status"]["phase"] == "Succeeded")
        await operator.idle()
    assert notifications(api)["hook"]["state"] == "Delivered"


async def test_a_crd_that_is_deleted(
    api: KubernetesApi, vault: Vault, start: StartOperator, caplog: pytest.LogCaptureFixture
) -> None:
    """If the CRD is deleted, the log says in plain words what to do. The operator continues when the CRD is installed again."""
    async with start() as operator:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await api.status(phase="Succeeded")
        api.delete()
        api.crd_installed = False
        api.cut_streams()
        await operator.advance_until(lambda: CRD_DELETED in caplog.text)
        assert await operator.probe("/readyz") == 503
        api.crd_installed = True
        api.create({"jobResourceId": vault.set_job(OTHER_JOB_NAME, job_payload())}, "other")
        await operator.advance_until(lambda: (api.get("other").get("status") or {}).get("phase") == "Succeeded")
        assert await operator.probe("/readyz") == 200
    ours = [record.getMessage() for record in caplog.records if record.name == "backupjobwatch.app"]
    assert "The watch stream failed, retrying in 5s: the server could not find the requested resource" in ours
    assert CRD_DELETED in ours


async def test_runs_as_a_user_without_a_name(
    api: KubernetesApi,
    vault: Vault,
    start: StartOperator,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """kopf runs as the image's user, which has a number but no name in the environment or /etc/passwd."""

    def unknown(uid: int) -> NoReturn:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises((OSError, KeyError)):
        getpass.getuser()
    async with start():
        await api.until(lambda: api.watched)
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await api.status(phase="Succeeded")
    assert "The watches are not followed" not in caplog.text
