"""Gate on what a challenger has shown in the champion's shadow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gate_parameters import check_count, check_number
from airflow_mlops_provider.core.gating import Evidence, GateKind, GateResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowWindowsMin:
    """The challenger has scored enough labelled windows in the champion's shadow, and was not worse there.

    Not worse: the lower bound of the paired difference over all these windows is at least minus the margin.

    Parameters
    ----------
    windows : int, default 3
        Labelled windows.
    rows : int, default 100
        Labelled rows in all of them.
    margin : float, default 0.01
        In the units of the challenger's deciding metric.
    """

    key: ClassVar[str] = "shadow_windows_min"
    kind: ClassVar[GateKind] = "change"

    windows: int = 3
    rows: int = 100
    margin: float = 0.01

    def __post_init__(self) -> None:
        check_count(self.key, "windows", self.windows)
        check_count(self.key, "rows", self.rows)
        check_number(self.key, "margin", self.margin, low=0.0)

    def judge(self, evidence: Evidence) -> GateResult:
        """Answer from the evidence."""
        found = evidence.shadow
        if found is None:
            raise InputError(
                "the challenger was never compared in the shadow of this champion. Hint: score with "
                "BatchScoreOperator(shadow=['challenger']) and run CompareShadowOperator once labels are there."
            )
        enough = found.windows >= self.windows and found.rows >= self.rows
        message = (
            f"{found.windows} labelled windows with {found.rows} rows in the shadow, "
            f"{self.windows} with {self.rows} required"
        )
        observed: dict[str, float] = {"windows": found.windows, "rows": found.rows}
        not_worse = False
        if found.difference is None:
            message += f"; no difference could be computed: {found.reason}"
        else:
            not_worse = found.difference.lower >= -self.margin
            observed |= {"difference": found.difference.difference, "lower": found.difference.lower}
            message += f"; {found.difference.describe(against='champion')}"
        return GateResult(
            gate=self.key,
            kind=self.kind,
            passed=enough and not_worse,
            message=f"{message}.",
            observed=observed,
            required={"windows": self.windows, "rows": self.rows, "margin": self.margin},
        )


GATE = ShadowWindowsMin
