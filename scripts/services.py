"""Processes that are started, watched, killed and stopped together: what ``make airflow`` and the tests run servers in.

Each runs in a session of its own, so that Ctrl-C reaches it through its starter only, with its output in a file.
Stopping one ends all that it started, also what it left behind when it was killed, and nothing else.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

HOST = "127.0.0.1"
START_SECONDS = 180
STOP_SECONDS = 15
TAIL_LINES = 30


class ServiceError(RuntimeError):
    """A process did not start, or ended that should not have; says what it wrote."""


@dataclass(kw_only=True)
class Service:
    """A process with its children, its output in a file.

    Parameters
    ----------
    name : str
        How it is called in messages.
    command : sequence of str
        Program and arguments.
    log : path
        Where its output goes; a restart appends.
    env : mapping of str to str
        Its whole environment.
    cwd : path
        Where it runs.
    healthy : callable
        Whether it takes work; called until it does.
    user : str, optional
        Who it runs as.
    stop_signal : int, default SIGTERM
        What asks it to end.
    """

    name: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str]
    cwd: Path
    healthy: Callable[[], bool] = field(default=lambda: True)
    user: str | None = None
    stop_signal: int = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None
    _sessions: set[int] = field(default_factory=set)

    def start(self) -> Service:
        """Start the process; it need not be healthy yet."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=dict(self.env),
                cwd=self.cwd,
                user=self.user,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._sessions.add(self.process.pid)
        return self

    def wait_until_healthy(self, *, seconds: float = START_SECONDS) -> Service:
        """Return when it takes work; raise when it ends or does not get there."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check_alive()
            with suppress(OSError):
                if self.healthy():
                    return self
            time.sleep(0.2)
        raise ServiceError(f"{self.name} is not healthy after {seconds:.0f} s; {self.log} ends:\n{self.tail()}")

    def check_alive(self) -> None:
        """Raise when it has ended, with the end of what it wrote."""
        if self.process is None or self.process.poll() is not None:
            code = None if self.process is None else self.process.returncode
            raise ServiceError(f"{self.name} ended with code {code}; {self.log} ends:\n{self.tail()}")

    def has_finished(self) -> bool:
        """Return whether it has ended, for one that is meant to; raise when it ended with an error."""
        if self.process is not None and self.process.poll() == 0:
            return True
        self.check_alive()
        return False

    def tail(self) -> str:
        """Return the last lines it wrote."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    def family(self) -> list[psutil.Process]:
        """Return its processes: those below it, and those in a session that it leads or led."""
        found: dict[int, psutil.Process] = {}
        if self.process is not None and self.process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                leader = psutil.Process(self.process.pid)
                found = {one.pid: one for one in (leader, *leader.children(recursive=True))}
        for one in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if os.getsid(one.pid) in self._sessions:
                    found[one.pid] = one
        return list(found.values())

    def kill(self) -> None:
        """End it and all below it at once, as a machine that is switched off does."""
        family = self.family()
        # Stopped first, so that none starts another, or finishes its work, while others are killed.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for one in family:
                with suppress(psutil.Error):
                    one.send_signal(number)
        psutil.wait_procs(family, timeout=STOP_SECONDS)
        if self.process is not None:
            self.process.wait(STOP_SECONDS)

    def restart(self) -> Service:
        """Start it again, at the same place, and return when it is healthy."""
        return self.start().wait_until_healthy()


def stop(services: Sequence[Service], *, seconds: float = STOP_SECONDS) -> None:
    """End the services and all they started, kindly first."""
    family = [process for service in services for process in service.family()]
    for service in services:
        if service.process is not None and service.process.poll() is None:
            service.process.send_signal(service.stop_signal)
    psutil.wait_procs(family, timeout=seconds)
    for service in services:
        service.kill()


def free_port(preferred: int = 0) -> int:
    """Return `preferred`, or a free port when it is taken."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise RuntimeError(f"No free port at {HOST}.")


def answers(url: str) -> bool:
    """Return whether something answers an HTTP GET well."""
    import urllib.request

    with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own http:// address
        return True
