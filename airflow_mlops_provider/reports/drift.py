"""The report of a drift check: what drifted and how much it matters first, then every column in numbers and pictures.

It shows shares and cells, never rows. Pictures are drawn by the template from shapes computed here: a plotting library
takes longer for them than reading the data does, and writes twenty times as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.reports.render import number, render

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlops_provider.core.cells import CellCounts
    from airflow_mlops_provider.core.drift_report import DriftReport

    Floats = NDArray[np.float64]

# More columns make the file heavy; what drifted comes first, so it is always shown.
MAX_PICTURES = 400
BINS = 30
MAX_CATEGORIES = 8
# With more than this share of a sample in one bar, the picture shows nothing else.
CROWDED = 0.6
# Of the picture of a numeric column, in its own units.
WIDTH, HEIGHT = 240.0, 64.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericPicture:
    """Two histograms over one axis.

    Parameters
    ----------
    reference, current : str
        Outlines as SVG paths, in a box of `WIDTH` by `HEIGHT`.
    low, high : str
        Ends of the axis.
    stretched : bool
        Whether the axis is even in asinh, not in the values.
    """

    reference: str
    current: str
    low: str
    high: str
    stretched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryPicture:
    """The most frequent categories.

    Parameters
    ----------
    bars : tuple of (str, float, float)
        Name, and shares of reference and current in per cent of the largest.
    rest : tuple of (int, float, float) or None
        How many more there are, and the shares they hold together.
    """

    bars: tuple[tuple[str, float, float], ...]
    rest: tuple[int, float, float] | None


def drift_report(report: DriftReport, *, cells: Mapping[str, CellCounts], about: Mapping[str, Any]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    report : DriftReport
        The decision.
    cells : mapping of str to CellCounts
        Column to its counts, for the pictures.
    about : mapping
        What was compared: ``title, reference, current, window_end, policy`` and ``multivariate``, all of them texts or
        mappings of text to what is to be shown.
    """
    shown = [one.column for one in report.columns if one.column in cells][:MAX_PICTURES]
    pictures = {name: picture(cells[name]) for name in shown}
    most = max((one.effect.value / one.threshold for one in report.columns if one.effect and one.threshold), default=1)
    return render(
        "drift.html.j2", report=report, pictures=pictures, about=about, most=max(most, 1.0), box=(WIDTH, HEIGHT)
    )


def picture(cells: CellCounts) -> NumericPicture | CategoryPicture:
    """Return the shapes that show reference against current."""
    return _numeric(cells) if cells.ordered else _categories(cells)


def _numeric(cells: CellCounts) -> NumericPicture:
    edges, reference, current = numeric_bins(cells)
    crowded = max((reference / cells.n_reference).max(), (current / cells.n_current).max()) > CROWDED
    stretched = crowded and len(cells.reference) > BINS
    if stretched:
        edges, reference, current = numeric_bins(cells, stretched=True)
    before, after = reference / cells.n_reference, current / cells.n_current
    top = float(max(before.max(), after.max()))
    return NumericPicture(
        reference=_outline(before / top),
        current=_outline(after / top),
        low=number(float(edges[0])),
        high=number(float(edges[-1])),
        stretched=bool(stretched),
    )


def _outline(heights: Floats) -> str:
    """Return a staircase of heights from 0 to 1 as an SVG path."""
    step = WIDTH / len(heights)
    parts = [f"M0,{HEIGHT:g}"]
    parts += [f"V{HEIGHT * (1 - height):.1f}H{(place + 1) * step:.1f}" for place, height in enumerate(heights.tolist())]
    return "".join([*parts, f"V{HEIGHT:g}"])


def numeric_bins(cells: CellCounts, *, stretched: bool = False) -> tuple[Floats, Floats, Floats]:
    """Sort the cells into even bins between the outer percents of both samples.

    Parameters
    ----------
    cells : CellCounts
        Of a numeric column.
    stretched : bool
        Make the bins even in asinh of the distance from the middle, so that long tails leave room for the rest.

    Returns
    -------
    edges, shape (b + 1,); counts of reference and current, shape (b,)
        Values beyond the edges are counted in the first and last bin.
    """
    import numpy as np

    assert cells.lower is not None and cells.upper is not None  # noqa: S101, PT018 - the caller's condition
    # Halved first, because the sum of two large bounds may be infinite.
    middle = cells.lower / 2 + cells.upper / 2
    both = cells.reference / cells.n_reference + cells.current / cells.n_current
    mass = np.cumsum(both) / both.sum()
    first, low, centre, up, high = (
        float(middle[min(int(np.searchsorted(mass, share)), len(middle) - 1)]) for share in (0.0, 0.01, 0.5, 0.75, 0.99)
    )
    if not high > low:
        room = max(abs(low) * 1e-6, 0.5)
        low, high = low - room, low + room
    size = min(BINS, max(len(middle), 3))
    # By shares of the range, which stay finite where the range does not.
    share = np.linspace(0.0, 1.0, size + 1)
    edges = low * (1 - share) + high * share
    scale = up - centre or centre - first
    if stretched and 0 < scale < np.inf:
        ends = np.arcsinh((np.array([low, high]) - centre) / scale)
        edges = centre + scale * np.sinh(ends[0] * (1 - share) + ends[1] * share)
    place = np.clip(np.searchsorted(edges, middle, side="right") - 1, 0, size - 1)
    return (
        edges,
        np.bincount(place, weights=cells.reference, minlength=size).astype(np.float64),
        np.bincount(place, weights=cells.current, minlength=size).astype(np.float64),
    )


def _categories(cells: CellCounts) -> CategoryPicture:
    import numpy as np

    before, after = cells.reference / cells.n_reference, cells.current / cells.n_current
    order = np.argsort(-np.maximum(before, after), kind="stable")
    top, rest = order[:MAX_CATEGORIES], order[MAX_CATEGORIES:]
    bars = [(cells.labels[i], float(before[i]), float(after[i])) for i in top]
    most = max(max(one, other) for _, one, other in bars)
    return CategoryPicture(
        bars=tuple((name, 100 * one / most, 100 * other / most) for name, one, other in bars),
        rest=(len(rest), float(before[rest].sum()), float(after[rest].sum())) if len(rest) else None,
    )
