"""The record of one expectation and the verdict over all: small JSON that tells counts, never values of the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.preconditions import Finding, PreconditionPolicy, TableFacts

if TYPE_CHECKING:
    from airflow_mlops_provider.core.specs import Fingerprint

# What an XCom may hold at most; the whole is in the MLflow artifact.
REASONS_IN_XCOM = 20
ENTRIES_IN_XCOM = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationOutcome:
    """What came of one expectation.

    Parameters
    ----------
    type : str
        Great Expectations' name, for example ``expect_column_values_to_be_between``.
    column : str or None
        Column, or several joined by commas.
    settings : str
        What the suite asks for, cut to 300 characters.
    severity : {"critical", "warning", "info"}
        Whether failing rejects the data.
    success : bool
        Whether it holds; False when `error` is set.
    unexpected_count : int or None
        Values (or rows) that break it.
    unexpected_share : float or None
        The same as a share in [0, 1] of the values that are not null.
    observed_value : float or None
        Only where it is an aggregate such as a mean or a count.
    error : str or None
        Why it could not be checked; this is not a violation.
    unexpected_values : tuple of str or None
        Up to 20 values of the data, only when asked for.
    """

    type: str
    column: str | None
    settings: str
    severity: str
    success: bool
    unexpected_count: int | None = None
    unexpected_share: float | None = None
    observed_value: float | None = None
    error: str | None = None
    unexpected_values: tuple[str, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values; unset fields are left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def sentence(self) -> str:
        """Say what came of it, without values of the data."""
        where = f"{self.type} on {self.column!r}" if self.column else self.type
        if self.error:
            return f"{where} could not be checked: {self.error}"
        if self.success:
            return f"{where} holds"
        if self.unexpected_count is not None and self.unexpected_share is not None:
            return f"{where} fails: {self.unexpected_count} unexpected ({self.unexpected_share * 100:.3g} %)"
        return f"{where} fails" + (f": observed {self.observed_value:.6g}" if self.observed_value is not None else "")


def verdict(
    *,
    uri: str,
    fingerprint: Fingerprint | None,
    engine: str,
    facts: TableFacts,
    policy: PreconditionPolicy,
    findings: Sequence[Finding],
    outcomes: Sequence[ExpectationOutcome],
) -> dict[str, Any]:
    """Put together what was found; the whole, for the report and the artifact.

    Parameters
    ----------
    uri : str
        Where the data are, without credentials.
    fingerprint : Fingerprint or None
        None when the database was asked and no row was read.
    engine : {"pandas", "sql"}
        Where the expectations ran.
    facts, policy, findings
        Of the preconditions; each finding rejects.
    outcomes : sequence of ExpectationOutcome
        Of the expectations; a critical one that does not hold rejects. Empty when the table has no row.

    Returns
    -------
    dict
        Plain JSON values; ``passed`` is the verdict and ``reasons`` says why it is negative.
    """
    blocking = [outcome for outcome in outcomes if not outcome.success and outcome.severity == "critical"]
    reasons = [finding.message for finding in findings] + [outcome.sentence() for outcome in blocking]
    return {
        "passed": not reasons,
        "reasons": reasons,
        "warnings": [
            outcome.sentence() for outcome in outcomes if not outcome.success and outcome.severity != "critical"
        ],
        "data": {"uri": uri, "fingerprint": None if fingerprint is None else fingerprint.to_dict()},
        "engine": engine,
        "rows": facts.rows,
        "columns": len(facts.columns),
        "statistics": _statistics(findings, outcomes, blocking),
        "preconditions": policy.requirements(),
        "findings": [finding.to_dict() for finding in findings],
        "expectations": [outcome.to_dict() for outcome in outcomes],
    }


def small(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the verdict as it goes into XCom: failures first, at most 50 entries a list, what is left out counted."""
    kept = {key: value for key, value in result.items() if key != "preconditions"}
    expectations = sorted(result["expectations"], key=lambda entry: bool(entry["success"]))
    kept["expectations"] = [
        {key: value for key, value in entry.items() if key != "settings"} for entry in expectations[:ENTRIES_IN_XCOM]
    ]
    kept["findings"] = result["findings"][:ENTRIES_IN_XCOM]
    for name in ("reasons", "warnings"):
        kept[name] = list(_first(result[name], REASONS_IN_XCOM))
    kept["left_out"] = {
        name: len(result[name]) - len(kept[name])
        for name in ("findings", "expectations")
        if len(result[name]) > len(kept[name])
    }
    return kept


def metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """Return what MLflow plots over the runs of an experiment."""
    statistics = result["statistics"]
    return {
        "passed": float(result["passed"]),
        "rows": float(result["rows"]),
        "columns": float(result["columns"]),
        **{f"{name}": float(value) for name, value in statistics.items()},
    }


def _statistics(
    findings: Sequence[Finding], outcomes: Sequence[ExpectationOutcome], blocking: Sequence[ExpectationOutcome]
) -> dict[str, int]:
    failed = [outcome for outcome in outcomes if not outcome.success]
    return {
        "findings": len(findings),
        "expectations_evaluated": len(outcomes),
        "expectations_succeeded": len(outcomes) - len(failed),
        "expectations_failed": len(failed),
        "expectations_failed_critical": len(blocking),
        "expectations_in_error": sum(outcome.error is not None for outcome in failed),
    }


def _first(texts: Sequence[str], count: int) -> Iterator[str]:
    yield from texts[:count]
    if len(texts) > count:
        yield f"and {len(texts) - count} more, see the report"
