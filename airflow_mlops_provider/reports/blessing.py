"""The report of an evaluation: may this version become champion, and what speaks for and against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_mlops_provider.reports.embed import data_uri
from airflow_mlops_provider.reports.render import render
from airflow_mlops_provider.reports.training import TITLES


def blessing_report(blessing: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    blessing : mapping
        The record that the evaluation stores.
    figures : mapping of str to str
        File name to SVG text, of the challenger on the judged rows.
    """
    return render(
        "blessing.html.j2",
        blessing=blessing,
        figures=[(TITLES.get(name, name), data_uri(svg)) for name, svg in figures.items()],
    )
