"""The report of a data validation: verdict and reasons first, then every check; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_mlops_provider.reports.render import render


def validation_report(result: Mapping[str, Any], *, about: Mapping[str, str]) -> str:
    """Return the report as one HTML file.

    Parameters
    ----------
    result : mapping
        The whole result, as in the artifact ``validation/result.json``.
    about : mapping of str to str
        Where the result comes from (DAG, task, run, time), shown in this order.

    Returns
    -------
    str
        Holds values of the data only if the result does.
    """
    findings: dict[str, list[str]] = {}
    for finding in result["findings"]:
        findings.setdefault(finding["check"], []).append(finding["message"])
    return render(
        "validation.html.j2",
        result=result,
        about=about,
        preconditions=[(rule, asks, findings.get(rule, [])) for rule, asks in result["preconditions"].items()],
        # Failures first, critical ones before warnings; else the order of the suite.
        expectations=sorted(result["expectations"], key=_rank),
    )


def _rank(entry: Mapping[str, Any]) -> int:
    if entry["success"]:
        return 3
    return {"critical": 0, "warning": 1}.get(entry["severity"], 2)
