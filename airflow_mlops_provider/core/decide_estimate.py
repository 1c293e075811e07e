"""From held-out rows and rows without labels to a verdict on estimated performance; checks first what it rests on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.catalog import unknown
from airflow_mlops_provider.core.estimate import MetricEstimate, calibrated, estimate
from airflow_mlops_provider.core.estimate_policy import EstimatePolicy, EstimateReport
from airflow_mlops_provider.core.expected import Scored, estimable
from airflow_mlops_provider.core.metric_sums import CALIBRATION_BINS
from airflow_mlops_provider.core.predictions import Predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Below this chance, a calibration that is off is called failed.
MISFIT_ALPHA = 0.01


def decide_estimate(
    reference: Predictions, current: Scored | None, policy: EstimatePolicy, *, metric: str
) -> EstimateReport:
    """Judge whether performance has dropped, from rows without labels.

    Parameters
    ----------
    reference : Predictions
        Held-out rows, which the model did not learn from.
    current : Scored or None
        Rows without labels, of the same model; None where there are none.
    policy : EstimatePolicy
        What counts as a drop.
    metric : str
        The version's deciding metric, for a policy that names none.

    Returns
    -------
    EstimateReport
        ``insufficient_data`` where an estimate would rest on nothing: too few rows, scores that do not vary or lie
        beyond all held-out ones, probabilities that no calibration mends.

    Raises
    ------
    InputError
        The metric cannot be estimated, or the two sides are not of one model.
    """
    chosen = policy.metric or metric
    if chosen not in estimable(reference.task):
        raise unknown(f"{reference.task} metric without labels", chosen, estimable(reference.task))
    report = EstimateReport(
        verdict="insufficient_data",
        reasons=(),
        metric=chosen,
        rows=0 if current is None else current.n_rows,
        reference_rows=reference.n_rows,
    )
    reasons = [*_too_little(reference, report.rows, policy), *_constant(reference, current)]
    if reasons or current is None:
        return replace(report, reasons=tuple(reasons))
    errors = _calibration(reference)
    outside = _outside(reference, current)
    report = replace(report, calibration_error=errors, outside_share=outside)
    if errors["calibrated"] > policy.max_calibration_error and errors["p_value"] < MISFIT_ALPHA:
        reasons.append(
            f"calibration fails: on {reference.n_rows} held-out rows probabilities stay off by "
            f"{errors['calibrated']:.3f} on average, {policy.max_calibration_error:g} allowed; a higher score does not "
            "mean a higher probability"
        )
    if outside > policy.max_outside_share:
        reasons.append(
            f"{outside:.1%} of the rows have a score beyond all held-out ones, {policy.max_outside_share:.1%} allowed: "
            "what they mean is not known"
        )
    if reasons:
        return replace(report, reasons=tuple(reasons))
    found = estimate(reference, current, confidence=policy.confidence, n_resamples=policy.n_resamples, seed=policy.seed)
    if chosen not in found:
        return replace(report, estimates=found, reasons=(f"{chosen} is not defined on these rows",))
    judged = found[chosen]
    floor = policy.floor(chosen, judged.reference)
    is_drop = judged.difference_upper < 0 and judged.difference <= -floor
    return replace(
        report,
        verdict="drop" if is_drop else "no_drop",
        reasons=(_said(judged, is_drop=is_drop, floor=floor),),
        estimates=found,
    )


def _too_little(reference: Predictions, rows: int, policy: EstimatePolicy) -> list[str]:
    reasons = []
    if rows < policy.min_rows:
        reasons.append(f"{rows} scored rows, {policy.min_rows} required")
    if reference.n_rows < policy.min_reference_rows:
        reasons.append(f"{reference.n_rows} held-out rows, {policy.min_reference_rows} required")
    few = {label: count for label, count in reference.class_counts().items() if count < policy.min_class_rows}
    reasons += [
        f"{count} held-out rows of class {label!r}, {policy.min_class_rows} required" for label, count in few.items()
    ]
    return reasons


def _constant(reference: Predictions, current: Scored | None) -> list[str]:
    reasons = []
    sides = {"scored rows": None if current is None else current.probabilities}
    sides["held-out rows"] = reference.require_probabilities()
    for side, given in sides.items():
        if given is not None and (given == given[0]).all():
            reasons.append(f"all {len(given)} {side} have the same probabilities, which says nothing of any of them")
    return reasons


def _calibration(reference: Predictions) -> dict[str, float]:
    """Measure how far probabilities are off on the reference; of several classes, those of the worst one."""
    given = reference.require_probabilities()
    fitted = calibrated(reference, given)
    codes = [1] if reference.task == "binary" else range(len(reference.labels))
    errors = []
    for code in codes:
        truth = reference.y_true == code
        error, p_value = _misfit(given[:, code], truth, fitted[:, code])
        errors.append(
            {"model": _misfit(given[:, code], truth, given[:, code])[0], "calibrated": error, "p_value": p_value}
        )
    return max(errors, key=lambda one: one["calibrated"])


def _misfit(scores: Floats, truth: NDArray[np.bool_], probabilities: Floats) -> tuple[float, float]:
    """Return how far probabilities are off in bins of the score, and how likely chance alone is so far off.

    ``sum_b |O_b - E_b| / n`` over 10 bins of equal mass with O positives where E are expected, and the p-value of
    ``sum_b (O_b - E_b)^2 / V_b``, ``V = sum p (1 - p)``, as chi-square [1]_. Fitting has used up degrees of freedom
    that are not taken off, so that chance is not called a misfit.

    References
    ----------
    .. [1] D. W. Hosmer, S. Lemeshow, Goodness of fit tests for the multiple logistic regression model, Communications
       in Statistics 9 (1980) 1043-1069.
    """
    import numpy as np
    from scipy.special import chdtrc

    edges = np.unique(np.quantile(scores, np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS))
    place = np.searchsorted(edges, scores, side="left")
    gaps = np.bincount(place, weights=truth - probabilities)
    variances = np.bincount(place, weights=probabilities * (1 - probabilities))
    # Where all are surely of one class, a gap is impossible and none is expected.
    statistic = np.sum(np.divide(gaps**2, variances, out=np.zeros_like(gaps), where=variances > 0))
    return float(np.abs(gaps).sum() / len(scores)), float(chdtrc(len(gaps), statistic))


def _outside(reference: Predictions, current: Scored) -> float:
    """Return the share of rows with a probability beyond all held-out ones of that class."""
    known = reference.require_probabilities()
    beyond = (current.probabilities < known.min(axis=0)) | (current.probabilities > known.max(axis=0))
    return float(beyond.any(axis=1).mean())


def _said(one: MetricEstimate, *, is_drop: bool, floor: float) -> str:
    words = (
        f"{one.name} is estimated at {one.value:.4f} [{one.lower:.4f}, {one.upper:.4f}] on {one.n_rows} rows, "
        f"{one.reference:.4f} on held-out ones: difference {one.difference:+.4f} "
        f"[{one.difference_lower:+.4f}, {one.difference_upper:+.4f}]"
    )
    if is_drop:
        return f"{words}, worse than the {floor:.3g} allowed"
    if one.difference <= -floor:
        return f"{words}, which may be chance"
    return words
