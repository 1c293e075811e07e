from __future__ import annotations

import email
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG, BaseNotifier

from airflow_mlops_provider.core.streak import Streak
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.registry.monitoring import Window, window_tags

REJECTED = {"passed": False, "verdict": "drift", "reasons": ["<b>too old</b>"], "model_name": "churn"}


class Does(MLOpsOperator):
    """Gives the verdict it is given."""

    def __init__(self, *, verdict: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verdict = verdict

    def perform(self, context: Any) -> dict[str, Any]:
        return dict(self.verdict)


@pytest.fixture
def run(run_dag: Callable[..., Any]) -> Callable[..., Any]:
    def once(*alerts: Any, verdict: dict[str, Any] = REJECTED, on_reject: str = "continue") -> Any:
        with DAG("alerting", schedule=None) as dag:
            Does(task_id="does", verdict=verdict, alerts=alerts, on_reject=on_reject)
        return run_dag(dag)

    return once


class Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as a client needs to hand over a message."""

    def handle(self) -> None:
        self.say("220 mailbox")
        while line := self.rfile.readline():
            command = line.decode().strip().upper()
            if command == "DATA":
                self.say("354 go on")
                lines: list[bytes] = []
                while (line := self.rfile.readline()) != b".\r\n":
                    lines.append(line.removeprefix(b"."))
                self.server.received.append(b"".join(lines))
            if command == "QUIT":
                self.say("221 bye")
                return
            self.say("250 ok")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """A mail server on this machine, which Airflow's SMTP connection leads to."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.daemon_threads = True
        server.received = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = {
            "conn_type": "smtp",
            "host": "127.0.0.1",
            "port": server.server_address[1],
            "extra": {"disable_tls": True, "disable_ssl": True, "from_email": "airflow@example.org", "retry_limit": 1},
        }
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        yield server.received
        # Without it the thread would look at a closed socket for ever, as fast as it can.
        server.shutdown()
        server.shutdown()


def test_airflows_own_mail_notifier_delivers_the_ready_message(run: Callable[..., Any], mailbox: list[bytes]) -> None:
    notifier = SmtpNotifier(to="team@example.org", subject="{{ alert.subject }}", html_content="{{ alert.html }}")
    outcome = run(notifier)
    assert outcome.xcoms["does"] == REJECTED
    (received,) = mailbox
    message: EmailMessage = email.message_from_bytes(received, policy=email.policy.default)
    assert message["To"] == "team@example.org"
    assert message["Subject"] == "churn: drift (does)"
    html = message.get_body(("html",)).get_content()
    assert "&lt;b&gt;too old&lt;/b&gt;" in html
    assert f"alerting.does, run {outcome.run_id}" in html


def test_a_mail_server_that_is_away_is_in_the_xcom_and_changes_nothing_else(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_SMTP_DEFAULT",
        json.dumps(
            {
                "conn_type": "smtp",
                "host": "127.0.0.1",
                "port": 9,
                "password": "s3cret-of-the-mail",
                "extra": {"disable_tls": True, "disable_ssl": True, "retry_limit": 1},
            }
        ),
    )

    def works(context: Any) -> None:
        told.append(context["verdict"])

    told: list[Any] = []
    notifier = SmtpNotifier(to="a@example.org", from_email="b@example.org", subject="x", html_content="y")
    outcome = run(notifier, works)
    assert outcome.states["does"] == "success"
    assert outcome.xcoms["does"] == {**REJECTED, "alerts_failed": ["SmtpNotifier"]}
    assert told == [REJECTED]
    assert "s3cret" not in json.dumps(outcome.xcoms)


@pytest.mark.parametrize(("on_reject", "state"), [("fail", "failed"), ("skip", "skipped")])
def test_a_failed_alert_is_in_the_xcom_of_a_task_that_fails_or_skips_too(
    run: Callable[..., Any], on_reject: str, state: str
) -> None:
    def pager(context: Any) -> None:
        raise ConnectionError("no line")

    outcome = run(pager, on_reject=on_reject)
    assert outcome.states["does"] == state
    assert outcome.xcoms["does"] == {**REJECTED, "alerts_failed": ["pager"]}


class OnlyAsync(BaseNotifier):
    """As notifiers made for the triggerer are."""

    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.sent: list[str] = []

    async def async_notify(self, context: Any) -> None:
        self.sent.append(self.text)


def test_asynchronous_notifiers_and_functions_are_waited_for(run: Callable[..., Any]) -> None:
    told: list[str] = []

    async def function(context: Any) -> None:
        told.append(context["alert"].subject)

    async def broken(context: Any) -> None:
        raise ConnectionError("no line")

    notifier = OnlyAsync("{{ alert.severity }}: {{ verdict.verdict }}")
    outcome = run(notifier, broken, function)
    assert notifier.sent == ["warning: drift"]
    assert told == ["churn: drift (does)"]
    assert outcome.xcoms["does"]["alerts_failed"] == ["broken"]


def test_a_notifier_that_several_tasks_share_says_to_each_its_own(run: Callable[..., Any]) -> None:
    notifier = OnlyAsync("{{ verdict.model_name }}")
    run(notifier)
    run(notifier, verdict={**REJECTED, "model_name": "other"})
    assert notifier.sent == ["churn", "other"]


def test_the_message_says_since_when_it_is_so(run: Callable[..., Any], airflow_home: Any, model_name: str) -> None:
    with MlflowHook().open() as registry:
        for day in ("2026-03-01", "2026-03-02"):
            tags = window_tags(check="drift", window=Window.parse(day), reference="r", verdict="drift")
            found = registry.client.create_run(registry.experiment_id(f"{model_name} monitoring"), tags=tags)
            registry.client.set_terminated(found.info.run_id, "FINISHED")
    told: list[Any] = []
    verdict = {**REJECTED, "run_id": found.info.run_id, "window_end": "2026-03-02T00:00:00+00:00"}
    run(lambda context: told.append(context["alert"]), verdict=verdict)
    assert told[0].since == Streak(since="2026-03-01T00:00:00+00:00", windows=2).since


def test_when_mlflow_cannot_say_since_when_the_alert_goes_out_without_it(run: Callable[..., Any]) -> None:
    told: list[Any] = []
    verdict = {**REJECTED, "run_id": "gone", "window_end": "2026-03-02T00:00:00+00:00"}
    outcome = run(lambda context: told.append(context["alert"]), verdict=verdict)
    assert told[0].since is None
    assert "window to 2026-03-02" in told[0].text
    assert "alerts_failed" not in outcome.xcoms["does"]
