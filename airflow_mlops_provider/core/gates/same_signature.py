"""Gate on what the model wants as input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gate_parameters import check_flag
from airflow_mlops_provider.core.gating import Evidence, GateKind, GateResult


@dataclass(frozen=True, slots=True, kw_only=True)
class SameSignature:
    """The challenger takes the champion's input columns, with the same types.

    Otherwise whoever feeds the champion breaks on promotion. The order of columns is not compared.

    Parameters
    ----------
    allow_new_columns : bool, default False
        Whether the challenger may need columns that the champion does not.
    allow_removed_columns : bool, default False
        Whether the challenger may do without columns that the champion needs.
    """

    key: ClassVar[str] = "same_signature"
    kind: ClassVar[GateKind] = "change"

    allow_new_columns: bool = False
    allow_removed_columns: bool = False

    def __post_init__(self) -> None:
        check_flag(self.key, "allow_new_columns", self.allow_new_columns)
        check_flag(self.key, "allow_removed_columns", self.allow_removed_columns)

    def judge(self, evidence: Evidence) -> GateResult:
        """Answer from the evidence."""
        ours = _recorded("challenger", evidence.challenger_signature)
        theirs = _recorded("champion", evidence.champion_signature)
        new = sorted(set(ours) - set(theirs))
        removed = sorted(set(theirs) - set(ours))
        changed = {name: [theirs[name], kind] for name, kind in sorted(ours.items()) if theirs.get(name, kind) != kind}
        wrong = [f"{name!r} changed from {before} to {after}" for name, (before, after) in changed.items()]
        wrong += [] if self.allow_new_columns else [f"{name!r} is new" for name in new]
        wrong += [] if self.allow_removed_columns else [f"{name!r} is gone" for name in removed]
        passed = not wrong
        return GateResult(
            gate=self.key,
            kind=self.kind,
            passed=passed,
            message=(
                f"The {len(ours)} input columns fit the champion's."
                if passed
                else f"The input columns differ from the champion's: {', '.join(wrong)}."
            ),
            observed={"new": new, "removed": removed, "changed": changed},
            required={
                "allow_new_columns": self.allow_new_columns,
                "allow_removed_columns": self.allow_removed_columns,
            },
        )


def _recorded(name: str, signature: Mapping[str, str] | None) -> Mapping[str, str]:
    if not signature:
        raise InputError(f"the input signature of the {name} was not recorded.")
    return signature


GATE = SameSignature
