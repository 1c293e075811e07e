"""From what was measured of one column, and p-values corrected over all, to the verdict on it.

It must never correct a p-value itself: that takes all columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core import evidently_rule
from airflow_mlops_provider.core.column_drift import Measured, Share
from airflow_mlops_provider.core.drift_report import ColumnDrift, DriftVerdict, ShareChange

if TYPE_CHECKING:
    from airflow_mlops_provider.core.cells import CellCounts
    from airflow_mlops_provider.core.drift_policy import DriftPolicy


def judge_column(
    one: Measured, adjusted: Mapping[str, float], policy: DriftPolicy, weights: Mapping[str, float] | None
) -> ColumnDrift:
    """Judge a column by what was measured of it.

    Parameters
    ----------
    one : Measured
        The column.
    adjusted : mapping of str to float
        Its p-values corrected over the report, by what was tested.
    policy : DriftPolicy
        Rule and thresholds.
    weights : mapping of str to float or None
        Share of all feature importance by column.

    Returns
    -------
    ColumnDrift
    """
    missing = _share_change(one.missing, adjusted.get("missing"), policy, policy.missing_share_change)
    unseen = one.unseen and _share_change(one.unseen, adjusted.get("unseen"), policy, policy.unseen_share)
    shape = _shape(one, adjusted.get("shape"), policy)
    verdicts = [shape["shape_verdict"], missing.verdict if missing.threshold is not None else None]
    verdicts.append(unseen.verdict if unseen and unseen.threshold is not None else None)
    verdict = _combine(verdicts)
    parts = {
        "column": one.name,
        "kind": one.kind,
        "verdict": verdict,
        "n_reference": one.n_reference,
        "n_current": one.n_current,
        "missing": missing,
        "unseen": unseen,
        "importance": None if weights is None else weights.get(one.name, 0.0),
        **shape,
    }
    return ColumnDrift(**parts, reason=_reason(parts, policy))


def _combine(verdicts: Sequence[DriftVerdict | None]) -> DriftVerdict:
    """Drift wins; the shape, which comes first, decides between the others where it is judged."""
    if "drift" in verdicts:
        return "drift"
    return next((verdict for verdict in verdicts if verdict is not None), "no_drift")


def _shape(one: Measured, adjusted: float | None, policy: DriftPolicy) -> dict[str, Any]:
    """Judge the shape; the fields of ColumnDrift that tell of it."""
    found: dict[str, Any] = {
        "shape_verdict": None,
        "method": one.choice and one.choice.method.key,
        "unit": one.choice and one.choice.method.unit,
        "form": one.form,
        "effect": one.effect,
        "threshold": one.choice and one.choice.threshold,
        "undecided": False,
        "test": one.test and one.test.test,
        "p_value": one.test and one.test.p_value,
        "adjusted_p_value": adjusted,
    }
    if one.choice is None:
        return found
    if one.effect is None or one.cells is None or min(one.n_reference, one.n_current) < policy.min_samples:
        return {**found, "shape_verdict": "insufficient_data"}
    if policy.rule == "evidently":
        return {**found, **_evidently(one, one.cells)}
    significant = policy.rule == "threshold" or (adjusted is not None and adjusted <= policy.fdr)
    large = one.effect.value >= one.choice.threshold
    found["undecided"] = significant and one.effect.straddles(one.choice.threshold)
    return {**found, "shape_verdict": "drift" if significant and large else "no_drift"}


def _evidently(one: Measured, cells: CellCounts) -> dict[str, Any]:
    theirs = evidently_rule.judge(cells, unseen=one.unseen.current[0] if one.unseen else 0)
    return {
        "shape_verdict": "drift" if theirs.drift else "no_drift",
        "method": theirs.method,
        "unit": theirs.unit,
        "form": "cells",
        "effect": theirs.effect,
        "threshold": theirs.threshold,
        "undecided": theirs.threshold is not None and theirs.effect.straddles(theirs.threshold),
        "test": None if theirs.p_value is None else "evidently",
        "p_value": theirs.p_value,
    }


def _share_change(share: Share, adjusted: float | None, policy: DriftPolicy, threshold: float | None) -> ShareChange:
    shares = [count / size if size else 0.0 for count, size in (share.reference, share.current)]
    change = abs(shares[1] - shares[0])
    verdict: DriftVerdict = "no_drift"
    if share.test is None:
        verdict = "insufficient_data"
    elif threshold is not None and share.test.test != "none":
        significant = policy.rule != "calibrated" or (adjusted is not None and adjusted <= policy.fdr)
        verdict = "drift" if significant and change >= threshold and change > 0 else "no_drift"
    if verdict == "no_drift" and not share.enough:
        # A few rows may prove a change, never that there is none.
        verdict = "insufficient_data"
    return ShareChange(
        reference_count=share.reference[0],
        current_count=share.current[0],
        reference_share=shares[0],
        current_share=shares[1],
        p_value=None if share.test is None else share.test.p_value,
        adjusted_p_value=adjusted,
        threshold=threshold,
        verdict=verdict,
        examples=share.examples,
    )


def _reason(parts: Mapping[str, Any], policy: DriftPolicy) -> str:
    said = []
    if parts["shape_verdict"] == "insufficient_data" and min(parts["n_reference"], parts["n_current"]) >= (
        policy.min_samples
    ):
        said.append("its texts are nearly all different, so that they cannot be compared")
    elif parts["shape_verdict"] == "insufficient_data":
        said.append(
            f"{parts['n_current']} current values against {parts['n_reference']}, {policy.min_samples} needed of each"
        )
    elif parts["shape_verdict"] is not None:
        limit = "" if parts["threshold"] is None else f" (threshold {parts['threshold']:.3g})"
        said.append(f"{parts['method']} {parts['effect'].value:.3g} {parts['unit']}{limit}{_p(parts)}")
    for name, label in (("missing", "missing rows"), ("unseen", "rows in unseen categories")):
        change = parts[name]
        if change is not None and (change.verdict == "drift" or (name == "missing" and not said)):
            p_text = "" if change.adjusted_p_value is None else f", adjusted p {change.adjusted_p_value:.2g}"
            said.append(f"{label} {change.reference_share:.2%} -> {change.current_share:.2%}{p_text}")
    return "; ".join(said) + "."


def _p(parts: Mapping[str, Any]) -> str:
    if parts["adjusted_p_value"] is not None:
        return f", adjusted p {parts['adjusted_p_value']:.2g}"
    return "" if parts["p_value"] is None else f", p {parts['p_value']:.2g}"
