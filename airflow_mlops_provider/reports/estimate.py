"""The report of an estimate: verdict first, then each metric against its held-out value, and what all rests on.

It shows shares, values and intervals, never a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.estimate import calibrated
from airflow_mlops_provider.core.predictions import Predictions
from airflow_mlops_provider.reports.embed import data_uri
from airflow_mlops_provider.reports.figures import ACCENT, INK, QUIET, canvas, style, to_svg
from airflow_mlops_provider.reports.render import render

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.estimate import MetricEstimate
    from airflow_mlops_provider.core.estimate_policy import EstimateReport
    from airflow_mlops_provider.core.expected import Scored

    Floats = NDArray[np.float64]


def estimate_report(
    report: EstimateReport, *, reference: Predictions, current: Scored | None, about: Mapping[str, str]
) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    report : EstimateReport
        The decision.
    reference : Predictions
        Held-out rows.
    current : Scored or None
        Rows of the window.
    about : mapping of str to str
        ``title`` and ``window_end``, and texts that say where it comes from.
    """
    return render(
        "estimate.html.j2",
        report=report,
        figures=[(name, data_uri(svg)) for name, svg in estimate_figures(report, reference, current).items()],
        about={name: text for name, text in about.items() if name not in ("title", "window_end")},
        title=about["title"],
        window_end=about["window_end"],
    )


def estimate_figures(report: EstimateReport, reference: Predictions, current: Scored | None) -> dict[str, str]:
    """Draw what the report shows, as SVG text by title; what there is nothing to draw of is left out."""
    figures = {}
    with style():
        shown = [one for one in report.estimates.values() if one.name != "log_loss"]
        if shown:
            figures["Estimated and held-out values"] = _intervals(shown)
        if reference.task == "binary" and report.calibration_error:
            figures["What probabilities mean on held-out rows"] = _calibration(reference)
        if current is not None:
            figures["Probabilities, held out and now"] = _scores(reference, current)
    return figures


def _intervals(estimates: list[MetricEstimate]) -> str:
    figure, axes = canvas(height=0.42 * len(estimates) + 1.3, long_labels=True)
    places = range(len(estimates), 0, -1)
    for place, one in zip(places, estimates, strict=True):
        axes.plot([one.lower, one.upper], [place, place], color=ACCENT, linewidth=5, alpha=0.35, solid_capstyle="butt")
    axes.plot([one.value for one in estimates], places, "o", color=ACCENT, label="estimated, with interval")
    axes.plot([one.reference for one in estimates], places, "|", color=INK, markersize=13, label="held out")
    axes.set_yticks(places, [one.name for one in estimates])
    axes.set_xlabel("value")
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, frameon=False)
    return to_svg(figure)


def _calibration(reference: Predictions) -> str:
    import numpy as np
    from sklearn.calibration import calibration_curve

    given = reference.require_probabilities()
    scores = given[:, 1]
    figure, axes = canvas()
    observed, said = calibration_curve(reference.y_true, scores, n_bins=10, strategy="quantile")
    grid = np.linspace(scores.min(), scores.max(), 200)
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle=":", label="as the model says")
    axes.plot(grid, calibrated(reference, np.column_stack([1 - grid, grid]))[:, 1], color=ACCENT, label="as learned")
    axes.plot(said, observed, "o", color=INK, label="observed, tenths of the rows")
    axes.set(xlabel="probability given by the model", ylabel="share of positives")
    axes.legend(loc="upper left", frameon=False)
    return to_svg(figure)


def _scores(reference: Predictions, current: Scored) -> str:
    import numpy as np

    before, now = reference.require_probabilities(), current.probabilities
    binary = reference.task == "binary"
    sides = [one[:, 1] if binary else one.max(axis=1) for one in (before, now)]
    edges = np.linspace(0, 1, 31)
    figure, axes = canvas()
    for values, colour, label in zip(sides, (QUIET, ACCENT), ("held out", "now"), strict=True):
        axes.stairs(np.histogram(values, edges)[0] / len(values), edges, color=colour, label=label, linewidth=1.6)
    axes.set(xlabel="probability" if binary else "highest probability", ylabel="share of rows")
    axes.legend(frameon=False)
    return to_svg(figure)
