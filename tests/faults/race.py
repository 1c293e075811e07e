"""Many processes move one model's champion at once, some are killed and retried; afterwards the books are checked.

A script, because it forks: ``python race.py URI --processes 8 --rounds 20 --kill 0.3 --seed 1``. Prints a JSON object;
``broken`` lists what went wrong, with the round.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.tracking
from mlflow.exceptions import MlflowException

from airflow_mlops_provider.core.errors import OutageError
from airflow_mlops_provider.core.ledger import History
from airflow_mlops_provider.core.ledger_entry import Draft
from airflow_mlops_provider.registry.ledger import CHAMPION, enter, read_history, settle
from airflow_mlops_provider.registry.ledger_claims import PREFIX
from airflow_mlops_provider.registry.presence import reference
from airflow_mlops_provider.registry.session import Registry, TrackingServer, open_registry

VERSIONS = 6
# A child that is not back by then hangs, which is a failure of its own.
ROUND_SECONDS = 240
# How a child says that Airflow would try it again.
RETRY = 75
NOW = "2026-11-20T00:00:00+00:00"


def move(registry: Registry, model_name: str, op: str, rng: random.Random) -> None:
    """Promote a random version, or roll back to the one before; both decided on what the ledger says."""
    forward = rng.random() < 0.7
    target = str(rng.randint(1, VERSIONS))
    subjects = {str(n): reference(registry, model_name, str(n)) for n in range(1, VERSIONS + 1)}
    by = {"dag_id": "race", "task_id": op}

    def decide(history: History) -> Draft | None:
        reigns = history.reigns()
        if forward or len(reigns) < 2:
            return Draft(kind="promote", by=by, at=NOW, subject=subjects[target])
        return Draft(kind="rollback", by=by, at=NOW, subject=reigns[-2].subject)

    settle(registry, model_name, by=by, now=NOW)
    enter(registry, model_name, op=op, decide=decide, by=by, now=NOW)


def naive_move(registry: Registry, model_name: str, op: str, rng: random.Random) -> None:
    """Read the champion, take the next version, set the alias, note it in a tag: what a first attempt looks like."""
    client = registry.client
    model = client.get_registered_model(model_name)
    before = model.aliases.get(CHAMPION, "0")
    after = str(int(before) % VERSIONS + 1)
    with suppress(MlflowException):
        client.set_registered_model_alias(model_name, CHAMPION, after)
        client.set_registered_model_tag(model_name, f"move.{op}", f"{before}>{after}")


def check(registry: Registry, model_name: str, ops: list[str]) -> list[str]:
    """Return what is wrong with the model's ledger and alias when all of `ops` were carried out."""
    standing = settle(registry, model_name, by={}, now=NOW)
    history = read_history(registry, model_name)  # raises for a broken chain or a doubled key
    alias = registry.client.get_registered_model(model_name).aliases.get(CHAMPION)
    champion = history.champion
    wrong = []
    if champion is None or str(alias) != champion.version:
        wrong.append(f"alias {alias}, ledger {champion}")
    if standing.champion != champion:
        wrong.append(f"two looks differ: {standing.champion}, {champion}")
    entered = sorted(one.op for one in history.entries if one.kind not in {"next", "adopt"})
    if entered != sorted(ops):
        wrong.append(f"lost {sorted(set(ops) - set(entered))}, unasked {sorted(set(entered) - set(ops))}")
    adopted = [one.number for one in history.entries if one.kind == "adopt"]
    if adopted:
        wrong.append(f"entries {adopted} say that a person moved the champion")
    return wrong


def claims_left(registry: Registry, model_name: str) -> int:
    """Return how many tasks died while they held the champion in suspense: shows that kills struck where it hurts."""
    return sum(key.startswith(PREFIX) for key in registry.client.get_registered_model(model_name).tags)


def naive_check(registry: Registry, model_name: str, ops: list[str]) -> list[str]:
    """Return what is wrong when each move should have gone on from where another one ended."""
    model = registry.client.get_registered_model(model_name)
    moves = [str(model.tags[f"move.{op}"]).split(">") for op in ops if f"move.{op}" in model.tags]
    wrong = [f"{len(ops) - len(moves)} moves left no trace"] if len(moves) < len(ops) else []
    expected = str((len(moves) - 1) % VERSIONS + 1)
    if str(model.aliases.get(CHAMPION)) != expected:
        wrong.append(f"alias {model.aliases.get(CHAMPION)} after {len(moves)} moves, expected {expected}")
    return wrong


def in_child(server: TrackingServer, work: Callable[[Registry], None]) -> int:
    """Fork a process that does `work` in a session of its own, and return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with open_registry(server) as registry:
            work(registry)
        code = 0
    except OutageError:
        code = RETRY
        traceback.print_exc()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


@dataclass
class Tally:
    """How the processes of a round ended."""

    killed: int = 0
    outages: int = 0


def run_round(server: TrackingServer, model_name: str, ops: list[str], args: Any, rng: random.Random) -> Tally:
    """Let one process per key do its move, kill some at random moments, retry until each came through."""
    task = naive_move if args.naive else move
    tries = dict.fromkeys(ops, 0)
    tally = Tally()
    waiting = list(ops)
    while waiting:
        running = {}
        for op in waiting:

            def work(registry: Registry, op: str = op) -> None:
                # Seeded by the key: a retry wants the same as the try before.
                task(registry, model_name, op, random.Random(op))

            running[in_child(server, work)] = op
        victims = [pid for pid, op in running.items() if not args.naive and tries[op] < 3 and rng.random() < args.kill]
        # Spread over the time that a round takes here, so that every step of the protocol is hit some time.
        moments = {pid: time.monotonic() + rng.random() * args.kill_seconds for pid in victims}
        waiting = reap(running, moments, tally)
        for op in waiting:
            tries[op] += 1
    return tally


def reap(running: dict[int, str], moments: dict[int, float], tally: Tally) -> list[str]:
    """Wait for the processes, kill each at its moment, and return the keys that must be tried again."""
    deadline = time.monotonic() + ROUND_SECONDS
    again = []
    while running:
        now = time.monotonic()
        for pid in [pid for pid, moment in moments.items() if now >= moment]:
            os.kill(pid, signal.SIGKILL)
            del moments[pid]
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            if now > deadline:
                for left in running:
                    os.kill(left, signal.SIGKILL)
                raise TimeoutError(f"{len(running)} processes hang")
            time.sleep(0.005)
            continue
        op = running.pop(pid)
        moments.pop(pid, None)
        if status:
            count(status, op, tally)
            again.append(op)
    return again


def count(status: int, op: str, tally: Tally) -> None:
    if os.WIFSIGNALED(status):
        tally.killed += 1
    elif os.WEXITSTATUS(status) == RETRY:
        tally.outages += 1
    else:
        raise RuntimeError(f"the task {op} failed for good")


def audit(server: TrackingServer, model_name: str, ops: list[str], *, naive: bool) -> dict[str, Any]:
    """Return what :func:`check` finds, from a process of its own."""
    reader, writer = os.pipe()

    def look(registry: Registry) -> None:
        wrong = (naive_check if naive else check)(registry, model_name, ops)
        found = {"wrong": wrong, "claims": claims_left(registry, model_name)}
        os.write(writer, json.dumps(found).encode()[:60_000])

    failed = os.waitpid(in_child(server, look), 0)[1]
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    return {"wrong": ["the check failed; see above"], "claims": 0} if failed else dict(json.loads(text))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kill", type=float, default=0.3, help="share of the processes that is killed")
    parser.add_argument("--kill-seconds", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--naive", action="store_true")
    parser.add_argument("--artifacts", type=Path)
    args = parser.parse_args()
    server = TrackingServer(uri=args.uri, artifact_root=None if args.artifacts is None else str(args.artifacts))
    rng = random.Random(args.seed)
    report: dict[str, Any] = {"rounds": 0, "killed": 0, "killed_in_suspense": 0, "outages": 0, "broken": []}
    for number in range(args.rounds):
        model_name = f"race {args.seed} {args.processes} {number} {'naive' if args.naive else 'ledger'}"
        # In a child as well: a connection of this process must not be shared by those it forks.
        done = in_child(server, lambda registry, name=model_name: make(registry, name))  # type: ignore[misc]
        if os.waitpid(done, 0)[1] != 0:
            raise RuntimeError("the model could not be made")
        ops = [f"{number:04d}{place:04d}" for place in range(args.processes)]
        tally = run_round(server, model_name, ops, args, rng)
        found = audit(server, model_name, ops, naive=args.naive)
        report["rounds"] += 1
        report["killed"] += tally.killed
        report["outages"] += tally.outages
        report["killed_in_suspense"] += found["claims"]
        report["broken"] += [f"round {number}: {one}" for one in found["wrong"]]
    print(json.dumps(report))


def make(registry: Registry, model_name: str) -> None:
    registry.client.create_registered_model(model_name)
    for _ in range(VERSIONS):
        registry.client.create_model_version(model_name, source="s3://models/none")


if __name__ == "__main__":
    # Loaded before the first fork, so that children start at once.
    assert mlflow.tracking.MlflowClient
    main()
