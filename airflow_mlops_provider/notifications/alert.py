"""The message about a bad verdict, in the forms that notifiers take: what happened, how bad, since when, and links.

It is made from the small JSON that the task leaves in XCom, so it can show no row and no credential; texts in it come
from users and data, and are escaped for each form. It sends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from airflow_mlops_provider.core.streak import Streak
from airflow_mlops_provider.reports.render import render

Severity = Literal["error", "warning"]

MAX_SUBJECT_CHARACTERS = 140  # Slack takes 150 in a header
MAX_SLACK_CHARACTERS = 2_900  # Slack takes 3,000 in a section
MAX_REASONS = 10
MAX_REASON_CHARACTERS = 300
MAX_FIGURES = 12

_LINKS = {"run_url": "MLflow run", "report_url": "Report", "model_version_url": "Model version"}
_NO_FIGURES = ("passed", "verdict", "model_name", "window_end", "reasons")
_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One message in every form; in a notifier's templates it is ``alert``.

    Parameters
    ----------
    subject : str
        One line, at most 140 characters.
    text, html, slack : str
        The message as plain text, as the HTML of an e-mail, and in Slack's mrkdwn.
    severity : {"error", "warning"}
        "error" when the verdict fails its task. PagerDuty knows both words.
    key : str
        The same for every alert about the same trouble, so that a pager can put them together.
    since : str or None
        End of the first of the bad windows in a row; None when it is not known.
    """

    subject: str
    text: str
    html: str
    slack: str
    severity: Severity
    key: str
    since: str | None


def alert_of(
    verdict: Mapping[str, Any],
    *,
    severity: Severity,
    streak: Streak | None,
    dag_id: str,
    task_id: str,
    run_id: str,
    airflow_url: str | None,
) -> Alert:
    """Write the message.

    Parameters
    ----------
    verdict : mapping
        The task's result: ``verdict``, ``reasons``, ``model_name``, numbers and addresses, none of which must be there.
    severity : {"error", "warning"}
        How bad it is for the task.
    streak : Streak or None
        Since when.
    dag_id, task_id, run_id : str
        Who found it.
    airflow_url : str or None
        Where Airflow shows the task's log.

    Returns
    -------
    Alert
        Everything in it is cut to what notifiers take.
    """
    model = _line(verdict.get("model_name") or dag_id)
    word = _line(str(verdict.get("verdict") or "rejected").replace("_", " "))
    said = verdict.get("reasons")
    parts: dict[str, Any] = {
        "subject": _cut(f"{model}: {word} ({_line(task_id)})", MAX_SUBJECT_CHARACTERS),
        "reasons": _reasons(said if isinstance(said, Sequence) and not isinstance(said, str) else []),
        "figures": _figures(verdict),
        "since": _since(verdict, streak),
        "task": _line(f"{dag_id}.{task_id}, run {run_id}"),
        "links": _links(verdict, airflow_url),
        "severity": severity,
    }
    return Alert(
        subject=parts["subject"],
        text=_text(parts),
        html=render("alert.html.j2", **parts),
        slack=_slack(parts),
        severity=severity,
        key=f"{model}/{_line(dag_id)}.{_line(task_id)}",
        since=None if streak is None else streak.since,
    )


def slack_blocks() -> list[dict[str, Any]]:
    """Return Block Kit blocks for ``blocks=`` of Slack's notifiers, which fill them with the alert when they send it.

    Examples
    --------
    >>> [block["type"] for block in slack_blocks()]
    ['header', 'section']
    """
    return [
        {"type": "header", "text": {"type": "plain_text", "text": "{{ alert.subject }}"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "{{ alert.slack }}"}},
    ]


def _reasons(reasons: Sequence[Any]) -> list[str]:
    shown = [_cut(_line(str(one)), MAX_REASON_CHARACTERS) for one in reasons[:MAX_REASONS]]
    left = len(reasons) - len(shown)
    return [*shown, f"and {left} more"] if left > 0 else shown


def _figures(verdict: Mapping[str, Any]) -> dict[str, str]:
    """Return the numbers of a result, whatever operator made it, in its order."""
    numbers = {
        _line(str(name).replace("_", " ")): f"{value:.6g}"
        for name, value in verdict.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in _NO_FIGURES
    }
    return dict(list(numbers.items())[:MAX_FIGURES])


def _since(verdict: Mapping[str, Any], streak: Streak | None) -> str:
    window = verdict.get("window_end")
    if streak is None:
        return f"window to {_line(str(window))}" if window else "not known"
    if streak.windows == 1:
        return f"{streak.since}, the first bad window"
    return f"{streak.since}, {streak.windows} windows in a row"


def _links(verdict: Mapping[str, Any], airflow_url: str | None) -> dict[str, str]:
    found = {label: verdict.get(name) for name, label in _LINKS.items()} | {"Airflow log": airflow_url}
    # What is no web address, or would end a link early, must not become one.
    return {label: url for label, url in found.items() if isinstance(url, str) and _WEB.fullmatch(url)}


_WEB = re.compile(r"https?://[^\s<>|\"'\\]+")


def _text(parts: Mapping[str, Any]) -> str:
    return "\n".join(
        [
            f"[{parts['severity'].upper()}] {parts['subject']}",
            *(f"- {reason}" for reason in parts["reasons"]),
            *([f"How bad: {_joined(parts['figures'])}"] if parts["figures"] else []),
            f"Since: {parts['since']}",
            f"Task: {parts['task']}",
            *(f"{label}: {url}" for label, url in parts["links"].items()),
        ]
    )


def _slack(parts: Mapping[str, Any]) -> str:
    head = [
        f"*{_escaped(parts['subject'])}* ({parts['severity']})",
        *([f"*How bad:* {_escaped(_joined(parts['figures']))}"] if parts["figures"] else []),
        f"*Since:* {_escaped(parts['since'])}",
        f"*Task:* {_escaped(parts['task'])}",
        " · ".join(f"<{url.replace('&', '&amp;')}|{label}>" for label, url in parts["links"].items()),
    ]
    kept = [line for line in head if line]
    room = MAX_SLACK_CHARACTERS - sum(len(line) + 1 for line in kept)
    for reason in reversed(parts["reasons"]):
        line = f"• {_escaped(reason)}"
        if len(line) < room:
            kept.insert(1, line)
            room -= len(line) + 1
    return "\n".join(kept)


def _joined(figures: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.items())


def _escaped(text: str) -> str:
    """Escape for Slack, where ``<!channel>`` would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _line(text: str) -> str:
    """Return the text in one line, without what would end a mail header or turn the reading direction."""
    return _NOT_SHOWN.sub(" ", str(text)).strip()


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
