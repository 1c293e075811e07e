"""Gate on the honesty of probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_mlops_provider.core.gate_parameters import check_number
from airflow_mlops_provider.core.gating import Evidence, GateKind, GateResult


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxCalibrationError:
    """Predicted probabilities agree with observed frequencies.

    The expected calibration error over 10 bins of equal mass [1]_, at most the threshold. It is above 0 even for a
    calibrated model, by about ``sqrt(10 / n) / 3`` on n rows: 0.07 on 200, 0.02 on 2,000.

    Parameters
    ----------
    threshold : float, default 0.1
        In [0, 1].

    References
    ----------
    .. [1] J. Nixon et al., Measuring calibration in deep learning, CVPR workshops 2019, section 4 (adaptive bins).
    """

    key: ClassVar[str] = "max_calibration_error"
    kind: ClassVar[GateKind] = "value"

    # Not a parameter: it lets the task be checked before any data are read.
    metric: ClassVar[str] = "calibration_error"

    threshold: float = 0.1

    def __post_init__(self) -> None:
        check_number(self.key, "threshold", self.threshold, low=0.0, high=1.0)

    def judge(self, evidence: Evidence) -> GateResult:
        """Answer from the evidence."""
        found = evidence.measure(self.metric)
        passed = found.value <= self.threshold
        doubt = (
            " Its interval holds the threshold: more rows may decide otherwise."
            if found.lower <= self.threshold
            else ""
        )
        return GateResult(
            gate=self.key,
            kind=self.kind,
            passed=passed,
            message=(
                f"Calibration error {found.value:.4f} [{found.lower:.4f}, {found.upper:.4f}] on {found.n_rows} rows, "
                f"{self.threshold:g} allowed.{'' if passed else doubt}"
            ),
            observed=found.to_dict(),
            required={"threshold": self.threshold},
        )


GATE = MaxCalibrationError
