"""Gate on the size of the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_mlops_provider.core.gate_parameters import check_count
from airflow_mlops_provider.core.gating import Evidence, GateKind, GateResult


@dataclass(frozen=True, slots=True, kw_only=True)
class MinRows:
    """Enough rows were judged, of each class as well.

    Parameters
    ----------
    rows : int, default 30
        Rows that neither model was trained on.
    rows_per_class : int, default 5
        Rows of the rarest class; of no meaning for regression.
    """

    key: ClassVar[str] = "min_rows"
    kind: ClassVar[GateKind] = "value"

    rows: int = 30
    rows_per_class: int = 5

    def __post_init__(self) -> None:
        check_count(self.key, "rows", self.rows)
        check_count(self.key, "rows_per_class", self.rows_per_class)

    def judge(self, evidence: Evidence) -> GateResult:
        """Answer from the evidence."""
        rows, counts = evidence.challenger.n_rows, evidence.challenger.class_counts()
        short = {label: count for label, count in counts.items() if count < self.rows_per_class}
        passed = rows >= self.rows and not short
        message = f"{rows} rows judged, {self.rows} required"
        if counts:
            message += f"; rows by class {counts}, {self.rows_per_class} required of each"
        if evidence.rows_left_out:
            message += f"; {evidence.rows_left_out} left out because a model was trained on them"
        return GateResult(
            gate=self.key,
            kind=self.kind,
            passed=passed,
            message=message + ("." if passed else ". Hint: evaluate on more rows."),
            observed={"rows": rows, "rows_by_class": counts, "rows_left_out": evidence.rows_left_out},
            required={"rows": self.rows, "rows_per_class": self.rows_per_class},
        )


GATE = MinRows
