"""Gate on prediction time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gate_parameters import check_number
from airflow_mlops_provider.core.gating import Evidence, GateKind, GateResult


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxLatency:
    """Prediction is fast enough.

    What was not measured does not pass.

    Parameters
    ----------
    row_milliseconds : float, optional
        Longest median time to predict one row alone.
    batch_milliseconds : float, optional
        Longest median time to predict a batch. At least one of the two must be given.
    """

    key: ClassVar[str] = "max_latency"
    kind: ClassVar[GateKind] = "value"

    row_milliseconds: float | None = None
    batch_milliseconds: float | None = None

    def __post_init__(self) -> None:
        if self.row_milliseconds is None and self.batch_milliseconds is None:
            raise InputError(f"Gate {self.key!r} needs 'row_milliseconds' or 'batch_milliseconds'; got neither.")
        for name in ("row_milliseconds", "batch_milliseconds"):
            if getattr(self, name) is not None:
                check_number(self.key, name, getattr(self, name), low=0.0)

    def judge(self, evidence: Evidence) -> GateResult:
        """Answer from the evidence."""
        limits = {"row": self.row_milliseconds, "batch": self.batch_milliseconds}
        required = {name: limit for name, limit in limits.items() if limit is not None}
        measured = {"row": evidence.row_latency_milliseconds, "batch": evidence.batch_latency_milliseconds}
        parts, passed = [], True
        for name, limit in required.items():
            found = measured[name]
            passed = passed and found is not None and found <= limit
            shown = "was not measured" if found is None else f"takes {found:.3g} ms"
            what = f"{name} of {evidence.batch_rows} rows" if name == "batch" and evidence.batch_rows else name
            parts.append(f"a {what} {shown}, {limit:g} ms allowed")
        return GateResult(
            gate=self.key,
            kind=self.kind,
            passed=passed,
            message=f"Prediction of {'; of '.join(parts)}.",
            observed={f"{name}_milliseconds": measured[name] for name in required},
            required={f"{name}_milliseconds": limit for name, limit in required.items()},
        )


GATE = MaxLatency
