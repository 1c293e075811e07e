"""Pictures of how a model predicts, as SVG text; draws what it is given and computes only what a picture needs.

Figures are made without pyplot, whose global state is shared by everything in the process.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.predictions import Predictions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, ACCENT, QUIET = "#1f2933", "#0b6e99", "#9aa5b1"
# Scatter plots of more rows than this are heavy to open and show nothing more.
MAX_POINTS = 2_000
MAX_CONFUSION_CLASSES = 25
MAX_CURVES = 10
MAX_IMPORTANCES = 20
MAX_NAME_CHARACTERS = 30


def prediction_figures(predictions: Predictions, *, seed: int = 0) -> dict[str, str]:
    """Draw what fits the task.

    Parameters
    ----------
    predictions : Predictions
        On held-out rows.
    seed : int
        For the sample of points in scatter plots.

    Returns
    -------
    dict of str to str
        File name to SVG text: ROC, precision-recall, calibration and confusion for classes, residuals for regression.
        What these rows do not define (a ROC of one class) is left out.
    """
    with style():
        if predictions.task == "regression":
            return {"residuals.svg": _residuals(predictions, seed)}
        figures = {"confusion.svg": _confusion(predictions)}
        if predictions.probabilities is None and predictions.margins is None:
            return figures
        scores = predictions.class_scores()
        if predictions.task == "multiclass":
            return figures | {"roc.svg": _roc_per_class(predictions, scores)}
        if predictions.probabilities is not None:
            figures["calibration.svg"] = _calibration(predictions)
        if min(predictions.class_counts().values()):
            figures |= {
                "roc.svg": _roc(predictions, scores[:, 1]),
                "precision_recall.svg": _pr(predictions, scores[:, 1]),
            }
        return figures


def importance_figure(importances: Mapping[str, tuple[float, float]], *, metric: str) -> str:
    """Draw the greatest permutation importances as bars with their standard deviation."""
    shown = list(importances.items())[:MAX_IMPORTANCES][::-1]
    with style():
        figure, axes = canvas(height=max(2.0, 0.28 * len(shown) + 1), long_labels=True)
        axes.barh(
            [short(name) for name, _ in shown],
            [mean for _, (mean, _) in shown],
            xerr=[deviation for _, (_, deviation) in shown],
            color=ACCENT,
            ecolor=QUIET,
        )
        # RMSE and other errors rise where a score falls; the importances count both as positive.
        axes.set_xlabel(f"loss in {metric} when the column is shuffled")
        return to_svg(figure)


@contextmanager
def style() -> Iterator[None]:
    """Draw names as they are: no formulas in them, text that can be searched, the same bytes for the same figure."""
    import matplotlib as mpl

    settings: Any = {"svg.hashsalt": "mlops", "svg.fonttype": "none", "text.parse_math": False}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # The browser has the letters that Matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def short(name: str) -> str:
    """Return a name that leaves room for the picture, without characters that SVG cannot hold."""
    name = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return name if len(name) <= MAX_NAME_CHARACTERS else name[: MAX_NAME_CHARACTERS - 1] + "…"


def canvas(*, width: float = 5.2, height: float = 4.2, long_labels: bool = False) -> tuple[Figure, Axes]:
    """Make a figure with one plot; only labels of unknown length need a layout, which draws everything twice."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained" if long_labels else None)
    axes = figure.subplots()
    if not long_labels:
        figure.subplots_adjust(left=0.15, right=0.97, bottom=0.13, top=0.92)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    return figure, axes


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG text, the same for the same figure."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _roc(predictions: Predictions, scores: Any) -> str:
    from sklearn.metrics import roc_auc_score, roc_curve

    figure, axes = canvas()
    false, true, _ = roc_curve(predictions.y_true, scores)
    axes.plot(false, true, color=ACCENT, label=f"area {roc_auc_score(predictions.y_true, scores):.3f}")
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle=":", label="chance")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    axes.legend(loc="lower right", frameon=False)
    return to_svg(figure)


def _roc_per_class(predictions: Predictions, scores: Any) -> str:
    from sklearn.metrics import roc_auc_score, roc_curve

    figure, axes = canvas()
    for code in _most_frequent(predictions, MAX_CURVES):
        is_class = predictions.y_true == code
        if is_class.all() or not is_class.any():
            continue
        false, true, _ = roc_curve(is_class, scores[:, code])
        area = roc_auc_score(is_class, scores[:, code])
        axes.plot(false, true, label=f"{short(predictions.labels[code])}: area {area:.3f}")
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC, one class against the rest")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", frameon=False, fontsize="small")
    return to_svg(figure)


def _most_frequent(predictions: Predictions, most: int) -> list[int]:
    """Return the codes of at most that many classes, in code order."""
    counts = list(predictions.class_counts().values())
    return sorted(sorted(range(len(counts)), key=lambda code: -counts[code])[:most])


def _pr(predictions: Predictions, scores: Any) -> str:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    figure, axes = canvas()
    precision, recall, _ = precision_recall_curve(predictions.y_true, scores, drop_intermediate=True)
    area = average_precision_score(predictions.y_true, scores)
    axes.plot(recall, precision, color=ACCENT, label=f"average precision {area:.3f}")
    share = float((predictions.y_true == 1).mean())
    axes.axhline(share, color=QUIET, linestyle=":", label=f"share of positives {share:.3f}")
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02), title="Precision and recall")
    axes.legend(loc="lower left", frameon=False)
    return to_svg(figure)


def _calibration(predictions: Predictions) -> str:
    from sklearn.calibration import calibration_curve

    assert predictions.probabilities is not None  # noqa: S101 - the caller's condition, told to the type checker
    figure, axes = canvas()
    observed, said = calibration_curve(
        predictions.y_true, predictions.probabilities[:, 1], n_bins=10, strategy="quantile"
    )
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle=":", label="perfect")
    axes.plot(said, observed, color=ACCENT, marker="o", label="tenths of the rows")
    axes.set(xlabel="mean predicted probability", ylabel="observed share of positives", title="Calibration")
    axes.legend(loc="upper left", frameon=False)
    return to_svg(figure)


def _confusion(predictions: Predictions) -> str:
    import numpy as np
    from sklearn.metrics import confusion_matrix

    codes = _most_frequent(predictions, MAX_CONFUSION_CLASSES)
    labels = [short(predictions.labels[code]) for code in codes]
    counts = confusion_matrix(predictions.y_true, predictions.predicted, labels=codes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(3.2, 0.55 * len(labels) + 2)
    figure, axes = canvas(width=side + 0.6, height=side, long_labels=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if shares[row, column] > 0.5 else INK
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(labels)), labels, rotation=45 if len(labels) > 4 else 0)
    axes.set_yticks(range(len(labels)), labels)
    left_out = len(predictions.labels) - len(labels)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(f"Confusion of the {len(labels)} most frequent classes" if left_out else "Confusion")
    return to_svg(figure)


def _residuals(predictions: Predictions, seed: int) -> str:
    import numpy as np

    keep = np.arange(predictions.n_rows)
    if len(keep) > MAX_POINTS:
        keep = np.random.default_rng(seed).choice(keep, MAX_POINTS, replace=False)
    said = predictions.predicted[keep]
    figure, axes = canvas(long_labels=True)
    axes.scatter(said, predictions.y_true[keep] - said, s=12, alpha=0.5, color=ACCENT, edgecolors="none")
    axes.axhline(0, color=QUIET, linestyle=":")
    axes.set(xlabel="predicted", ylabel="true minus predicted", title="Residuals")
    return to_svg(figure)
