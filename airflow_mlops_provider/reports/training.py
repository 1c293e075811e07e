"""The report of a training: what was trained on what, how well it does on held-out rows, and compared with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_mlops_provider.reports.embed import data_uri
from airflow_mlops_provider.reports.render import render

TITLES = {
    "roc.svg": "ROC",
    "precision_recall.svg": "Precision and recall",
    "calibration.svg": "Calibration",
    "confusion.svg": "Confusion",
    "residuals.svg": "Residuals",
    "importances.svg": "Permutation importance",
}


def training_report(*, model_name: str, evidence: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    model_name : str
        Registered model.
    evidence : mapping
        :class:`airflow_mlops_provider.registry.evidence.TrainingEvidence` as plain values.
    figures : mapping of str to str
        File name to SVG text.
    """
    return render(
        "training.html.j2",
        model_name=model_name,
        evidence=evidence,
        primary=evidence["metrics"][evidence["metric"]],
        figures=[(TITLES.get(name, name), data_uri(svg)) for name, svg in figures.items()],
    )
