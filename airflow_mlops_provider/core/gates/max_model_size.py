"""Gate on the size of the model's files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gate_parameters import check_number
from airflow_mlops_provider.core.gating import Evidence, GateKind, GateResult


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxModelSize:
    """The model is small enough.

    A size that was not measured does not pass.

    Parameters
    ----------
    megabytes : float
        Largest size; one megabyte is 1,000,000 bytes.
    """

    key: ClassVar[str] = "max_model_size"
    kind: ClassVar[GateKind] = "value"

    megabytes: float

    def __post_init__(self) -> None:
        check_number(self.key, "megabytes", self.megabytes, low=0.0)

    def judge(self, evidence: Evidence) -> GateResult:
        """Answer from the evidence."""
        if evidence.model_size_bytes is None:
            raise InputError("the size of the model was not measured.")
        size = evidence.model_size_bytes / 1e6
        return GateResult(
            gate=self.key,
            kind=self.kind,
            passed=size <= self.megabytes,
            message=f"The model takes {size:.3g} MB, {self.megabytes:g} MB allowed.",
            observed={"megabytes": size},
            required={"megabytes": self.megabytes},
        )


GATE = MaxModelSize
