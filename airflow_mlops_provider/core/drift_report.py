"""What a drift decision says, column by column and as a whole; plain values, ready for JSON, reports and MLflow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from airflow_mlops_provider.core.drift_method import Effect

DriftVerdict = Literal["drift", "no_drift", "insufficient_data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareChange:
    """How the share of some rows changed, and whether that matters.

    Parameters
    ----------
    reference_count, current_count : int
        Such rows.
    reference_share, current_share : float
        As shares of all rows that could be such; 0 where there are none.
    p_value, adjusted_p_value : float or None
        Before and after correction over all tests of the report; None when not tested.
    threshold : float or None
        Smallest change that matters; None when not judged.
    verdict : {"drift", "no_drift", "insufficient_data"}
        Of this change.
    examples : tuple of str
        Some of the unseen categories.
    """

    reference_count: int
    current_count: int
    reference_share: float
    current_share: float
    p_value: float | None
    adjusted_p_value: float | None
    threshold: float | None
    verdict: DriftVerdict
    examples: tuple[str, ...] = ()

    @property
    def change(self) -> float:
        """Current minus reference share."""
        return self.current_share - self.reference_share


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """Verdict on one column.

    Parameters
    ----------
    column : str
        Its name.
    kind : str
        What it holds in the reference, as its profile says.
    verdict : {"drift", "no_drift", "insufficient_data"}
        On the column: drift when any of shape, missing rows or unseen categories drifted.
    shape_verdict : {"drift", "no_drift", "insufficient_data"} or None
        On the distribution of its values; None where that is not judged, as for dates.
    method, unit : str or None
        Drift method and what its effect is measured in; None where the shape is not judged.
    form : {"cells", "exact"} or None
        Whether the effect was computed from profiles or from every value.
    effect : Effect or None
        With the interval that the cells certify; None where there is nothing to compare.
    threshold : float or None
        Smallest effect that matters.
    undecided : bool
        Whether the certified interval holds the threshold, so that only the exact form could tell.
    test : str or None
        Which significance test was made.
    p_value, adjusted_p_value : float or None
        Of that test, before and after correction over all tests of the report.
    n_reference, n_current : int
        Values compared.
    missing : ShareChange
        Null, NaN and infinite rows.
    unseen : ShareChange or None
        Rows with categories that the reference does not have; None for numbers.
    importance : float or None
        Share of all feature importance, when importances were given.
    reason : str
        One sentence for people, with the numbers.
    """

    column: str
    kind: str
    verdict: DriftVerdict
    shape_verdict: DriftVerdict | None
    method: str | None
    unit: str | None
    form: Literal["cells", "exact"] | None
    effect: Effect | None
    threshold: float | None
    undecided: bool
    test: str | None
    p_value: float | None
    adjusted_p_value: float | None
    n_reference: int
    n_current: int
    missing: ShareChange
    unseen: ShareChange | None
    importance: float | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        plain = asdict(self)
        plain["effect"] = None if self.effect is None else self.effect.to_dict()
        for part in ("missing", "unseen"):
            if plain[part] is not None:
                plain[part]["examples"] = list(plain[part]["examples"])
        return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaChange:
    """How the columns themselves changed.

    Parameters
    ----------
    missing : tuple of str
        Columns of the reference that the current data lack.
    new : tuple of str
        Columns that the reference does not have; reported, never drift.
    retyped : tuple of (str, str, str)
        Column, kind in the reference and kind now, where the kind changed, e.g. from numeric to text.
    """

    missing: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    retyped: tuple[tuple[str, str, str], ...] = ()

    @property
    def breaks(self) -> bool:
        """Whether a column is missing or retyped, which a model that reads it cannot ignore."""
        return bool(self.missing or self.retyped)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return {
            "missing": list(self.missing),
            "new": list(self.new),
            "retyped": {name: {"reference": before, "current": after} for name, before, after in self.retyped},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """Verdict on a data set.

    Parameters
    ----------
    verdict : {"drift", "no_drift", "insufficient_data"}
        ``insufficient_data`` when no column could be judged and the schema did not change.
    rule : str
        The policy's rule.
    reasons : tuple of str
        Why there is drift, or why nothing could be judged; empty without drift.
    n_reference, n_current : int
        Rows.
    n_drifted, n_judged, n_insufficient : int
        Columns that drifted, that were judged at all, and that had too few values.
    drift_share : float or None
        ``n_drifted / n_judged``; None when none was judged.
    importance_drifted : float or None
        Share of all feature importance that drifted columns hold; None without importances.
    importance_threshold : float or None
        What that share was compared with.
    schema : SchemaChange
        Missing, new and retyped columns.
    columns : tuple of ColumnDrift
        What drifted first, by importance or by effect over threshold; then by name.
    """

    verdict: DriftVerdict
    rule: str
    reasons: tuple[str, ...]
    n_reference: int
    n_current: int
    n_drifted: int
    n_judged: int
    n_insufficient: int
    drift_share: float | None
    importance_drifted: float | None
    importance_threshold: float | None
    schema: SchemaChange
    columns: tuple[ColumnDrift, ...]

    @property
    def drifted_columns(self) -> tuple[str, ...]:
        """Names of the columns that drifted."""
        return tuple(one.column for one in self.columns if one.verdict == "drift")

    def column(self, name: str) -> ColumnDrift:
        """Return the verdict on one column; KeyError when it was not compared."""
        for one in self.columns:
            if one.column == name:
                return one
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        names = [name for name in self.__slots__ if name not in {"schema", "columns", "reasons"}]
        return {
            **{name: getattr(self, name) for name in names},
            "reasons": list(self.reasons),
            "schema": self.schema.to_dict(),
            "columns": [one.to_dict() for one in self.columns],
        }
