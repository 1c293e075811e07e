from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from airflow.sdk.definitions._internal.templater import Templater

from airflow_mlops_provider.core.streak import Streak
from airflow_mlops_provider.notifications.alert import Alert, alert_of, slack_blocks

DRIFT = {
    "passed": False,
    "verdict": "drift",
    "reasons": ["5 of 19 judged columns drifted", "contract: total variation 0.31"],
    "n_drifted": 5,
    "n_judged": 19,
    "drift_share": 0.2631578947,
    "importance_drifted": None,
    "schema": {"missing": []},
    "model_name": "churn",
    "window_end": "2026-03-05T00:00:00+00:00",
    "run_id": "0123",
    "run_url": "https://mlflow.example/#/experiments/1/runs/0123",
    "report_url": "https://mlflow.example/#/experiments/1/runs/0123/artifacts/drift/report.html",
}


def alert(verdict: dict[str, Any] = DRIFT, **settings: Any) -> Alert:
    given = {
        "severity": "error",
        "streak": Streak(since="2026-03-02T00:00:00+00:00", windows=4),
        "dag_id": "churn_monitoring",
        "task_id": "detect_drift",
        "run_id": "manual__2026",
        "airflow_url": "https://airflow.example/dags/x?a=1&b=2",
    }
    return alert_of(verdict, **{**given, **settings})


class Page(HTMLParser):
    """What a mail program would make of a message."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("form", ["text", "html", "slack"])
def test_every_form_says_what_how_bad_since_when_and_where(form: str) -> None:
    message = alert()
    said = Page(message.html).words if form == "html" else getattr(message, form)
    for part in (
        "churn: drift",
        "5 of 19 judged columns drifted",
        "contract: total variation 0.31",
        "0.263158",
        "2026-03-02T00:00:00+00:00, 4 windows in a row",
        "churn_monitoring.detect_drift, run manual__2026",
    ):
        assert part in said
    links = Page(message.html).links if form == "html" else said
    assert DRIFT["run_url"] in links
    assert DRIFT["report_url"] in links
    assert "https://airflow.example/dags/x?a=1" in str(links)


def test_the_rest_is_for_pagers() -> None:
    message = alert()
    assert message.subject == "churn: drift (detect_drift)"
    assert message.since == "2026-03-02T00:00:00+00:00"
    assert (message.severity, alert(severity="warning").severity) == ("error", "warning")
    later = alert({**DRIFT, "window_end": "2026-03-06", "run_id": "4567"}, run_id="manual__2027")
    assert message.key == later.key
    assert message.key != alert(task_id="check_performance").key


@pytest.mark.parametrize("verdict", [{}, {"passed": False, "reasons": "one text"}, {"reasons": None, "rows": 3}])
def test_a_result_of_which_little_is_known_still_makes_a_message(verdict: dict[str, Any]) -> None:
    message = alert(verdict, streak=None, airflow_url=None)
    assert message.subject == "churn_monitoring: rejected (detect_drift)"
    assert "Since: not known" in message.text
    assert message.since is None
    assert Page(message.html).links == []


HOSTILE = '<script>alert(1)</script><!channel> {{ 7 * 7 }} " onload=x\r\nBcc: all@example.org \u202egnp'


def test_nothing_from_names_and_data_runs_calls_everybody_or_ends_a_header() -> None:
    message = alert(
        {
            **DRIFT,
            "model_name": HOSTILE,
            "reasons": [HOSTILE],
            HOSTILE: 3,
            "run_url": "javascript:alert(1)",
            "report_url": "https://x.example/|<!channel>",
            "model_version_url": 'https://x.example/" onclick="x',
        },
        task_id=HOSTILE,
    )
    page = Page(message.html)
    assert page.tags <= {
        "html",
        "head",
        "meta",
        "title",
        "body",
        "div",
        "h1",
        "ul",
        "li",
        "table",
        "tr",
        "td",
        "p",
        "a",
    }
    assert page.links == ["https://airflow.example/dags/x?a=1&b=2"]
    assert "<!channel>" not in message.slack
    assert "<script" not in message.html + message.slack
    for one in (message.subject, message.key):
        assert "\n" not in one
        assert "\r" not in one
    assert "\u202e" not in message.subject + message.text + message.html + message.slack


def test_a_long_result_is_cut_to_what_slack_takes_and_the_links_stay() -> None:
    message = alert({**DRIFT, "model_name": "m" * 300, "reasons": ["&" * 5000 for _ in range(500)]})
    assert len(message.subject) <= 150
    assert len(message.slack) <= 3000
    assert DRIFT["run_url"] in message.slack
    assert "and 490 more" in message.text
    assert len(message.text) < 5000


def test_slack_blocks_are_filled_by_airflow_and_keep_to_the_limits_of_block_kit() -> None:
    class Notifier(Templater):
        template_fields = ("blocks",)
        template_ext = ()
        blocks = slack_blocks()

    context = {"alert": alert({**DRIFT, "reasons": ["x" * 400] * 50})}
    header, section = Notifier().render_template(Notifier.blocks, context)
    # https://docs.slack.dev/reference/block-kit/blocks: a header is plain text of at most 150 characters, a section's
    # text at most 3,000.
    assert header == {"type": "header", "text": {"type": "plain_text", "text": "churn: drift (detect_drift)"}}
    assert section["type"] == "section"
    assert section["text"]["type"] == "mrkdwn"
    assert 0 < len(section["text"]["text"]) <= 3000
