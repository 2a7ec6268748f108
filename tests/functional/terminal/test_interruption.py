"""A signal may arrive between any two instructions. Each test runs a process that signals itself at a chosen one."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

IMPORTS = """
    import asyncio, os, select, signal, threading, time
    from backupjobwatch.cli import main
    from backupjobwatch.terminal.interruption import Interruption
"""
PRELUDE = f"""{IMPORTS}
    interruption = Interruption(lambda: print("report", flush=True))
    interruption.install()
"""


def run(code: str, prelude: str = PRELUDE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", dedent(prelude) + dedent(code)], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_signal_releases_locks() -> None:
    """A signal between the acquisition of a lock and the statement that releases it does not leave it acquired."""
    done = run("""
        class Lock:
            def __init__(self):
                self.lock = threading.Lock()

            def __enter__(self):
                self.lock.acquire()
                signal.raise_signal(signal.SIGTERM)

            def __exit__(self, *_):
                self.lock.release()

        lock = Lock()

        async def work():
            with lock:
                pass
            await asyncio.Event().wait()

        try:
            asyncio.run(interruption.run(work()))
        except asyncio.CancelledError:
            print(interruption.code, lock.lock.locked())
    """)
    assert (done.stdout, done.stderr) == ("143 False\n", "")


def test_a_signal_before_the_work() -> None:
    """Work that has not begun does not begin."""
    done = run("""
        async def work():
            print("begun")

        signal.raise_signal(signal.SIGINT)
        try:
            asyncio.run(interruption.run(work()))
        except asyncio.CancelledError:
            print(interruption.code)
    """)
    assert (done.stdout, done.stderr) == ("130\n", "")


def test_work_that_ignores_the_signal() -> None:
    """If the main thread is stuck, the process reports and exits on its own."""
    done = run("""
        signal.raise_signal(signal.SIGTERM)
        threading.Event().wait()
    """)
    assert (done.returncode, done.stdout, done.stderr) == (143, "report\n", "")


def test_a_signal_that_interrupts_no_system_call() -> None:
    """A signal just before the main thread blocks interrupts nothing, and still ends the process."""
    done = run("""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # another thread receives the signal
        threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGTERM]).start()
        reader, _ = os.pipe()
        os.read(reader, 1)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (143, "report\n", "")


def test_a_signal_that_does_not_interrupt_the_input() -> None:
    """A signal just before the command reads standard input interrupts nothing, and still ends the process."""
    done = run(
        """
        reader, writer = os.pipe()
        os.dup2(reader, 0)
        os.write(writer, b"a name")

        def interrupt():
            while select.select([reader], [], [], 0)[0]:
                time.sleep(0.01)
            time.sleep(0.5)  # the main thread blocks again after it has read the name
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()  # also receives the signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        main(["watch", "-"])
        """,
        IMPORTS,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
