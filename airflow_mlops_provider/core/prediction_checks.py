"""Failures of a model that raise no error: predictions that are missing, constant, impossible or of another kind.

It looks at what a model said, never at the rows it said it of; labels are not needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.cells import CellCounts
from airflow_mlops_provider.core.decide_drift import decide_drift
from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.prediction_policy import PredictionFinding, PredictionPolicy, PredictionReport
from airflow_mlops_provider.core.skew_cells import beyond_range, constant_since, share_above, share_below
from airflow_mlops_provider.core.window_tests import all_alike_p, beyond_extreme_p, more_frequent_p

if TYPE_CHECKING:
    from airflow_mlops_provider.core.drift_method import MethodChoice
    from airflow_mlops_provider.core.drift_report import ShareChange
    from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile

PREDICTION = "prediction"
PROBABILITY = "probability"


def check_predictions(
    heldout: DatasetProfile,
    current: DatasetProfile,
    *,
    labels: Sequence[str] = (),
    policy: PredictionPolicy | None = None,
) -> PredictionReport:
    """Check predictions against those that the version made on its held-out rows.

    Shifts are judged by :func:`~airflow_mlops_provider.core.decide_drift.decide_drift`; the share of extreme scores by
    Fisher's exact test.

    Parameters
    ----------
    heldout : DatasetProfile
        Of ``prediction`` and, for classifiers with probabilities, ``probability``.
    current : DatasetProfile
        Of the predictions to check, counted in the cells of `heldout`.
    labels : sequence of str, default ()
        Classes the model knows; () for a regression.
    policy : PredictionPolicy, optional
        By default ``PredictionPolicy()``.

    Returns
    -------
    PredictionReport

    Raises
    ------
    InputError
        There are no predictions, a column is missing, or cells differ.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from airflow_mlops_provider.core.profiler import profile_table
    >>> heldout = profile_table(pa.table({"prediction": ["no", "yes"] * 300, "probability": [0.2, 0.7] * 300}))
    >>> now = profile_table(pa.table({"prediction": ["no"] * 200, "probability": [0.2] * 200}), grids=heldout.grids)
    >>> [one.check for one in check_predictions(heldout, now, labels=["no", "yes"]).findings]
    ['constant', 'shift', 'constant', 'shift']
    """
    policy = policy or PredictionPolicy()
    if not current.rows:
        raise InputError("There are no predictions to check. Hint: check the step that writes them.")
    given = {one.name: one for one in current.columns if one.types}
    lacking = [one.name for one in heldout.columns if one.name not in given]
    if lacking:
        raise InputError(f"The predictions lack the columns {lacking}; there are {', '.join(given) or 'none'}.")
    findings: list[PredictionFinding] = []
    for before in heldout.columns:
        now = given[before.name]
        findings += _certain(before, now, labels, current.rows)
        findings += _statistical(before, now, labels, policy)
    findings += _shifts(heldout, current, policy)
    ordered = tuple(sorted(findings, key=lambda one: (one.severity != "critical", one.column != PREDICTION)))
    reasons = tuple(f"{one.column}: {one.message}" for one in ordered if one.severity == "critical")
    if reasons:
        return PredictionReport(verdict="suspicious", reasons=reasons, findings=ordered, rows=current.rows)
    enough = min(current.rows, heldout.rows) >= policy.min_samples
    if not enough:
        reasons = (
            f"{current.rows} predictions against {heldout.rows} held-out ones, {policy.min_samples} needed of each",
        )
    return PredictionReport(
        verdict="sound" if enough else "insufficient_data", reasons=reasons, findings=ordered, rows=current.rows
    )


def _certain(
    before: ColumnProfile, now: ColumnProfile, labels: Sequence[str], rows: int
) -> Iterator[PredictionFinding]:
    """Find what no sample size excuses."""
    infinite = now.positive_infinities + now.negative_infinities
    without = now.missing + infinite + rows - now.rows
    if without:
        message = f"{without} of {rows} are missing (null, NaN or infinite)"
        yield PredictionFinding(
            column=now.name, check="missing", severity="critical", message=message, observed=without / rows
        )
    if now.mistyped:
        message = f"it is {now.kind}, on the held-out rows it was {before.kind}"
        yield PredictionFinding(column=now.name, check="unknown_class", severity="critical", message=message)
    if before.name == PROBABILITY:
        low, high = now.minimum, now.maximum
        if low is not None and high is not None and (low < 0 or high > 1):
            message = f"they range from {low:.6g} to {high:.6g}, which no probability does"
            yield PredictionFinding(column=now.name, check="out_of_range", severity="critical", message=message)
    unknown = [one for one in now.other_examples if one not in set(labels)]
    if labels and before.name == PREDICTION and unknown:
        message = f"classes that the model does not know: {', '.join(map(repr, unknown[:3]))}"
        yield PredictionFinding(column=now.name, check="unknown_class", severity="critical", message=message)


def _statistical(
    before: ColumnProfile, now: ColumnProfile, labels: Sequence[str], policy: PredictionPolicy
) -> Iterator[PredictionFinding]:
    """Find what is only unlikely."""
    n, m = before.n_counted, now.n_counted
    if not n or not m:
        return
    p_limit = policy.alpha / 4
    alike = constant_since(before, now)
    if alike is not None and all_alike_p(n_value=alike, n_reference=n, n_current=m) <= p_limit:
        message = f"all {m} are the same, on the held-out rows they varied"
        yield PredictionFinding(column=now.name, check="constant", severity="critical", message=message)
    if before.minimum is None or min(n, m) < policy.min_samples:
        return
    first, second, p_value = _extremes(before, now, policy, is_regression=not labels)
    growth = second / m - first / n
    if growth > policy.extreme_share_change and p_value <= p_limit:
        message = f"{second / m:.2%} are extreme, on the held-out rows {first / n:.2%}"
        yield PredictionFinding(
            column=now.name,
            check="extreme",
            severity="critical",
            message=message,
            observed=growth,
            allowed=policy.extreme_share_change,
        )


def _extremes(
    before: ColumnProfile, now: ColumnProfile, policy: PredictionPolicy, *, is_regression: bool
) -> tuple[int, int, float]:
    n, m = before.n_counted, now.n_counted
    if is_regression:
        sides = beyond_range(before, now)
        return 0, sum(sides), 2 * min(beyond_extreme_p(beyond=one, n_reference=n, n_current=m) for one in sides)
    low, high = policy.extreme_margin, 1 - policy.extreme_margin
    first, second = (share_below(one, low) + share_above(one, high) for one in (before, now))
    return first, second, more_frequent_p(reference=(first, n), current=(second, m))


def _shifts(heldout: DatasetProfile, current: DatasetProfile, policy: PredictionPolicy) -> Iterator[PredictionFinding]:
    numeric = {"method": "wasserstein", "threshold": policy.score_shift}
    categorical = {"method": "jensen_shannon", "threshold": policy.class_shift}
    drift_policy = DriftPolicy(
        numeric=numeric,
        categorical=categorical,
        fdr=policy.alpha,
        min_samples=policy.min_samples,
        missing_share_change=None,
        unseen_share=0.0,
    )
    now = replace(current, columns=tuple(one for one in current.columns if one.name in heldout.names))
    for one in decide_drift(heldout, now, drift_policy, any_size=True).columns:
        if one.unseen is not None and one.unseen.verdict == "drift":
            sides = heldout.column(one.column).n_counted, now.column(one.column).n_counted
            choice = drift_policy.choice(one.column, "categorical")
            yield from _classes_not_said_before(one.column, one.unseen, sides, choice)
        if one.shape_verdict == "drift" and one.effect is not None:
            message = (
                f"{one.method} {one.effect.value:.3g} {one.unit} from the held-out ones, {one.threshold:.3g} allowed"
            )
            yield PredictionFinding(
                column=one.column,
                check="shift",
                severity="critical",
                message=message,
                observed=one.effect.value,
                allowed=one.threshold,
            )


def _classes_not_said_before(
    column: str, unseen: ShareChange, sides: tuple[int, int], choice: MethodChoice
) -> Iterator[PredictionFinding]:
    """Judge the share of classes without a held-out prediction by the distance that it makes alone."""
    import numpy as np

    (n, m), new = sides, unseen.current_count
    cells = CellCounts(reference=np.array([n, 0]), current=np.array([m - new, new]), labels=("held out", "new"))
    distance = choice.method.from_cells(cells).value
    if distance >= choice.threshold:
        message = f"{new / m:.2%} are of classes that it predicted for no held-out row"
        message += f", such as {', '.join(map(repr, unseen.examples[:3]))}" if unseen.examples else ""
        yield PredictionFinding(
            column=column,
            check="shift",
            severity="critical",
            message=message,
            observed=distance,
            allowed=choice.threshold,
        )
