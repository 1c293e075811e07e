"""The report of a drift check: what drifted and how much it matters first, then every column in numbers and pictures.

It shows shares and cells, never rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.reports.embed import data_uri
from airflow_mlops_provider.reports.render import render

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from airflow_mlops_provider.core.cells import CellCounts
    from airflow_mlops_provider.core.drift_report import DriftReport

# Pictures of more columns than this make the file heavy; what drifted comes first, so it is always shown.
MAX_PICTURES = 40
BINS = 30
MAX_CATEGORIES = 10
MAX_LABEL_CHARACTERS = 24
REFERENCE, CURRENT = "#9aa5b1", "#0b6e99"


def drift_report(report: DriftReport, *, cells: Mapping[str, CellCounts], about: Mapping[str, Any]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    report : DriftReport
        The decision.
    cells : mapping of str to CellCounts
        Column to its counts, for the pictures.
    about : mapping
        What was compared: ``title, reference, current, window_end, policy`` and whatever else is to be shown.
    """
    shown = [one.column for one in report.columns if one.column in cells][:MAX_PICTURES]
    pictures = {name: data_uri(svg) for name, svg in column_pictures({name: cells[name] for name in shown}).items()}
    most = max((one.effect.value / one.threshold for one in report.columns if one.effect and one.threshold), default=1)
    return render("drift.html.j2", report=report, pictures=pictures, about=about, most=max(most, 1.0))


def column_pictures(cells: Mapping[str, CellCounts]) -> dict[str, str]:
    """Draw reference against current for each column, as SVG."""
    from matplotlib.figure import Figure

    # One figure for all: making one costs more than drawing on it.
    figure = Figure(figsize=(3.6, 1.5), layout="constrained")
    return {name: _numbers(figure, one) if one.ordered else _categories(figure, one) for name, one in cells.items()}


def _numbers(figure: Figure, cells: CellCounts) -> str:

    edges, reference, current = numeric_bins(cells)
    figure.clear()
    axes = figure.subplots()
    axes.stairs(reference / cells.n_reference, edges, fill=True, color=REFERENCE, alpha=0.6, label="reference")
    axes.stairs(current / cells.n_current, edges, color=CURRENT, linewidth=1.6, label="current")
    axes.set_ylim(bottom=0)
    axes.set_xlim(edges[0], edges[-1])
    axes.locator_params(axis="x", nbins=5)
    if max(abs(edges[0]), abs(edges[-1])) >= 1e5:
        axes.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
    return _svg(figure, axes)


def numeric_bins(cells: CellCounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort the cells into even bins between the outer percents of both samples.

    Parameters
    ----------
    cells : CellCounts
        Of a numeric column.

    Returns
    -------
    edges, shape (b + 1,); counts of reference and current, shape (b,)
        Values beyond the edges are counted in the first and last bin.
    """
    import numpy as np

    assert cells.lower is not None and cells.upper is not None  # noqa: S101, PT018 - the caller's condition
    lower = np.where(np.isfinite(cells.lower), cells.lower, cells.upper)
    upper = np.where(np.isfinite(cells.upper), cells.upper, lower)
    middle = lower / 2 + upper / 2
    both = cells.reference / cells.n_reference + cells.current / cells.n_current
    mass = np.cumsum(both) / both.sum()
    low = float(middle[int(np.searchsorted(mass, 0.01))])
    high = float(middle[min(int(np.searchsorted(mass, 0.99)), len(middle) - 1)])
    if not high > low:
        low, high = low - 0.5, low + 0.5
    edges = np.linspace(low, high, min(BINS, max(len(middle), 3)) + 1)
    place = np.clip(np.searchsorted(edges, middle, side="right") - 1, 0, len(edges) - 2)
    size = len(edges) - 1
    return (
        edges,
        np.bincount(place, weights=cells.reference, minlength=size),
        np.bincount(place, weights=cells.current, minlength=size),
    )


def _categories(figure: Figure, cells: CellCounts) -> str:
    import numpy as np

    reference, current = cells.reference / cells.n_reference, cells.current / cells.n_current
    order = np.argsort(-np.maximum(reference, current), kind="stable")
    top, rest = order[:MAX_CATEGORIES], order[MAX_CATEGORIES:]
    names = [_short(cells.labels[i]) for i in top]
    first, second = list(reference[top]), list(current[top])
    if len(rest):
        names.append(f"{len(rest)} more")
        first.append(float(reference[rest].sum()))
        second.append(float(current[rest].sum()))
    figure.clear()
    axes = figure.subplots()
    place = np.arange(len(names))[::-1]
    axes.barh(place + 0.2, first, height=0.4, color=REFERENCE, label="reference")
    axes.barh(place - 0.2, second, height=0.4, color=CURRENT, label="current")
    axes.set_yticks(place, names, fontsize=6 if len(names) > 5 else 8)
    axes.set_xlim(left=0)
    return _svg(figure, axes)


def _short(label: str) -> str:
    # A dollar would start a formula in Matplotlib.
    text = label if len(label) <= MAX_LABEL_CHARACTERS else label[: MAX_LABEL_CHARACTERS - 1] + "…"
    return text.replace("$", r"\$")


def _svg(figure: Figure, axes: Any) -> str:
    from airflow_mlops_provider.reports.figures import to_svg

    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
    return to_svg(figure)
