"""The record of an evaluation: its blessing, its XCom, its entry when it rejects, and what a later try finds of it.

It decides nothing: the same verdict gives the same record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.ledger_entry import Draft, VersionRef
from airflow_mlops_provider.core.op_key import derived_key

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version

REPORT = "blessing/blessing.html"


def version_to_judge(
    registry: Registry, model_name: str, wanted: Any, *, op: str, actor: Mapping[str, str]
) -> tuple[Version, dict[str, Any] | None]:
    """Return the version to judge, and the XCom when an earlier try judged it and it became champion since.

    Without a wanted version this is the one that an earlier try of the same task rejected, for the challenger of now
    may be another one; else the challenger.

    Raises
    ------
    InputError
        There is none.
    """
    from airflow_mlops_provider.registry.champion import champion_of, resolve
    from airflow_mlops_provider.registry.ledger import read_history
    from airflow_mlops_provider.registry.versions import CHALLENGER, by_alias, by_number

    if wanted in (None, ""):
        done = read_history(registry, model_name).find(op)
        if done is not None and done.subject is not None:
            return by_number(registry, model_name, done.subject.version), None
        if by_alias(registry, model_name, CHALLENGER) is None:
            # Blessed by an earlier try, it may have been promoted by another DAG run meanwhile.
            champion = champion_of(registry, model_name)
            earlier = None if champion is None else earlier_result(registry, champion, actor=actor)
            if champion is not None and earlier is not None:
                return champion, earlier
    return resolve(registry, model_name, wanted, alias=CHALLENGER), None


def earlier_result(registry: Registry, version: Version, *, actor: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the XCom of an earlier try of the same task that blessed a version; None when there was none."""
    import json

    from airflow_mlops_provider.registry.blessings import TAG, read_blessing
    from airflow_mlops_provider.registry.runs import LoggedRun

    blessing = read_blessing(registry, version)
    if blessing is None or not blessing["passed"] or blessing["evaluated_by"] != dict(actor):
        return None
    run_id = json.loads(version.tags[TAG])["run_id"]
    experiment_id = str(registry.client.get_run(run_id).info.experiment_id)
    return result_of(LoggedRun(registry=registry, run_id=run_id, experiment_id=experiment_id), blessing)


def result_of(run: LoggedRun, blessing: Mapping[str, Any]) -> dict[str, Any]:
    """Return the XCom of an evaluation."""
    from airflow_mlops_provider.registry.champion import set_by_hand

    model_name, version, metric = blessing["model_name"], blessing["version"], blessing["metric"]
    brief = {
        side: {key: values[metric][key] for key in ("value", "lower", "upper")}
        for side, values in blessing["metrics"].items()
        if values and metric in values
    }
    return {
        "passed": blessing["passed"],
        "reasons": list(blessing["reasons"]),
        "verdict": blessing["verdict"],
        "model_name": model_name,
        "version": version,
        "champion_version": blessing["champion_version"],
        "champions_set_by_hand": set_by_hand(run.registry, model_name, by=blessing["evaluated_by"]),
        "metric": metric,
        "metrics": brief,
        "rows": blessing["rows"],
        "gates": [{key: one[key] for key in ("gate", "passed", "skipped")} for one in blessing["results"]],
        "run_id": run.run_id,
        "experiment_id": run.experiment_id,
        "run_url": run.url(),
        "report_url": run.url(REPORT),
        "model_version_url": run.registry.version_url(model_name=model_name, version=version),
    }


def enter_rejection(
    registry: Registry, subject: VersionRef, blessing: Mapping[str, Any], *, op: str, run_id: str
) -> None:
    """Enter into the ledger that a version was rejected, once for each version that a task rejects."""
    from airflow_mlops_provider.registry.ledger import enter, read_history

    actor, now = blessing["evaluated_by"], blessing["evaluated_at"]
    draft = Draft(
        kind="reject",
        by=actor,
        at=now,
        reason="; ".join(blessing["reasons"]),
        subject=subject,
        details={"evaluation_run_id": run_id},
    )
    model_name = blessing["model_name"]
    done = read_history(registry, model_name).find(op)
    if done is not None and done.subject is not None and not done.subject.is_same_as(subject):
        op = derived_key("reject", op, subject.version, subject.created_ms)
    enter(registry, model_name, op=op, decide=lambda _: draft, by=actor, now=now)
