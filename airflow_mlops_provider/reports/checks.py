"""The report of a check around scoring: verdict and reasons first, then every finding; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_mlops_provider.reports.render import render


def checks_report(
    *,
    kind: str,
    title: str,
    word: str,
    good: bool,
    reasons: Sequence[str],
    figures: Mapping[str, Any],
    sections: Mapping[str, Sequence[Mapping[str, Any]]],
    about: Mapping[str, Any],
) -> str:
    """Return the report as one HTML file.

    Parameters
    ----------
    kind, title : str
        What was checked, and which.
    word : str
        The verdict.
    good : bool
        Whether it is a good one.
    reasons : sequence of str
        Why.
    figures : mapping of str to number or str
        Shown large, in this order.
    sections : mapping of str to sequence of findings
        Heading to findings as plain JSON values.
    about : mapping of str to str
        Where it comes from.
    """
    return render(
        "checks.html.j2",
        kind=kind,
        title=title,
        word=word,
        good=good,
        reasons=list(reasons),
        figures=dict(figures),
        sections={name: list(findings) for name, findings in sections.items()},
        about=dict(about),
    )
