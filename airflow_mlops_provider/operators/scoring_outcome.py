"""What a scoring came to: its verdict, its record in MLflow, and letting the tables out; decides nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_mlops_provider.core.prediction_policy import PredictionReport
    from airflow_mlops_provider.core.skew_policy import SkewReport
    from airflow_mlops_provider.core.specs import Fingerprint
    from airflow_mlops_provider.operators.scoring import Pass
    from airflow_mlops_provider.operators.scoring_lanes import Lane
    from airflow_mlops_provider.operators.scoring_model import ScoringModel
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry

REPORT = "scoring/report.html"
RECORD = "scoring/report.json"
PREDICTIONS = "scoring/predictions_profile.json"
# Findings named in XCom; all are in the report.
MAX_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringOutcome:
    """What one scoring came to.

    Parameters
    ----------
    model : ScoringModel
        Who scored.
    lanes : sequence of Lane
        Its own first, then the shadows'.
    scored : Pass
        What the pass over the rows told.
    fingerprint : Fingerprint
        Of the data.
    skew : SkewReport or None
    predictions : PredictionReport or None
        None where not checked.
    """

    model: ScoringModel
    lanes: Sequence[Lane]
    scored: Pass
    fingerprint: Fingerprint
    skew: SkewReport | None
    predictions: PredictionReport | None

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the output."""
        return all(one is None or one.passed for one in (self.skew, self.predictions))

    @property
    def reasons(self) -> list[str]:
        """What speaks against the output."""
        said = []
        for name, one in (("features", self.skew), ("predictions", self.predictions)):
            if one is not None and not one.passed:
                said += [f"{name}: {reason}" for reason in one.reasons]
        if self.scored.refusal is not None:
            said.append(f"scoring ended after {self.scored.rows} rows: {self.scored.refusal}")
        return said

    def to_dict(self) -> dict[str, Any]:
        """Return the verdicts as plain JSON values."""
        from airflow_mlops_provider.operators.scoring import summary

        return {
            "passed": self.passed,
            "reasons": self.reasons[:MAX_NAMED],
            "model_name": self.model.version.model_name,
            "version": self.model.version.version,
            **summary(self.scored.rows, self.scored.seconds),
            "fingerprint": self.fingerprint.to_dict(),
            "skew": brief(self.skew),
            "predictions": brief(self.predictions),
        }

    def log(self, run: LoggedRun) -> dict[str, Any]:
        """Store the record in a run and return where it is."""
        from airflow_mlops_provider.registry.profiles import write_profile

        run.log_dataset(self.fingerprint, context="scoring")
        run.log_metrics({"rows": self.scored.rows, "seconds": self.scored.seconds, "passed": float(self.passed)})
        sections = {
            name: one.to_dict()["findings"]
            for name, one in (("Features against training", self.skew), ("Predictions", self.predictions))
            if one is not None
        }
        run.log_dict({**self.to_dict(), "findings": sections}, RECORD)
        run.log_text(self._html(sections), REPORT)
        profile_uri = None if self.scored.serving is None else write_profile(run, self.scored.serving)
        return {
            "profile_uri": profile_uri,
            "predictions_profile_uri": write_profile(run, self.lanes[0].predictions.result(), PREDICTIONS),
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "run_url": run.url(),
            "report_url": run.url(REPORT),
        }

    def _html(self, sections: Mapping[str, Any]) -> str:
        from airflow_mlops_provider.reports.checks import checks_report

        label = self.model.version.label
        return checks_report(
            kind="Batch scoring",
            title=label[0].upper() + label[1:],
            word="Passed" if self.passed else "Rejected",
            good=self.passed,
            reasons=self.reasons,
            figures={
                "Rows": self.scored.rows,
                "Rows per second": self.scored.rows / max(self.scored.seconds, 1e-9),
                "Features": len(self.model.features),
                "Shadows": len(self.lanes) - 1,
            },
            sections=sections,
            about={"Data": self.fingerprint.uri, f"SHA-256 of the {self.fingerprint.basis}": self.fingerprint.sha256},
        )

    def publish(self, *, log: Any) -> dict[str, Any]:
        """Let the tables out: shadows first, so that who sees the output finds them too."""
        from airflow_mlops_provider.hooks.data import open_data
        from airflow_mlops_provider.operators.scoring_lanes import alone

        shadows = []
        for lane in self.lanes[1:]:
            if lane.error is None:
                with alone(lane, log=log):
                    lane.table.publish()
            version = lane.model.version.version
            shadows.append({"version": version, "output": None if lane.error else lane.table.uri, "error": lane.error})
        self.lanes[0].table.publish()
        with open_data(self.lanes[0].table.uri) as table:
            written = table.fingerprint()
        return {"output_fingerprint": written.to_dict(), "shadows": shadows}


def refused(
    model: ScoringModel, fingerprint: Fingerprint, objections: Sequence[str], *, registry: Registry
) -> dict[str, Any]:
    """Return the verdict on rows that need not even be read."""
    reasons = [f"features: {one}" for one in objections]
    version = model.version
    return {
        "passed": False,
        "reasons": reasons[:MAX_NAMED],
        "model_name": version.model_name,
        "version": version.version,
        "rows": 0,
        "published": False,
        "fingerprint": fingerprint.to_dict(),
        "skew": {"verdict": "skew", "reasons": reasons[:MAX_NAMED]},
        "model_version_url": registry.version_url(model_name=version.model_name, version=version.version),
    }


def brief(report: SkewReport | PredictionReport | None) -> dict[str, Any] | None:
    """Return verdict and findings as XCom shows them."""
    if report is None:
        return None
    plain = report.to_dict()
    return {
        "verdict": plain["verdict"],
        "reasons": plain["reasons"][:MAX_NAMED],
        "findings": [
            {key: one[key] for key in ("severity", "check", "message")} | {"what": one.get("feature") or one["column"]}
            for one in plain["findings"][:MAX_NAMED]
        ],
    }
