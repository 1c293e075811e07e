"""What a training leaves on record: numbers and tags of its run, tags of its version, the evidence, the figures.

Shared by the operator and the TaskFlow decorator, so that a model trained by a function is tracked like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.specs import Fingerprint, TrainSettings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.registry.evidence import TrainingEvidence
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.training.train import Trained

# MLflow cuts parameters at 6,000 characters; a longer one stays whole in the evidence.
MAX_PARAM_CHARACTERS = 500
REPORT = "reports/training.html"
_NOT_IN_KEYS = re.compile(r"[^\w. :/-]", re.ASCII)


def context_tags(context: Context, operator: str) -> dict[str, str]:
    """Return the tags that say which try of which task made an MLflow run."""
    from airflow_mlops_provider.registry.runs import task_tags

    ti = context["ti"]
    return task_tags(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        try_number=ti.try_number,
        map_index=-1 if ti.map_index is None else ti.map_index,
        operator=operator,
    )


def evidence_of(
    trained: Trained, *, settings: TrainSettings, fingerprint: Fingerprint, dag_folder: Path
) -> TrainingEvidence:
    """Put together the record that the version carries."""
    from airflow_mlops_provider.registry.evidence import TrainingEvidence
    from airflow_mlops_provider.training.environment import git_commit, python_version, requirements_of

    prepared = trained.prepared
    return TrainingEvidence(
        task=prepared.target.task,
        target=prepared.target_name,
        classes=[_json_scalar(one) for one in prepared.target.classes],
        metric=prepared.metric,
        metrics={name: one.to_dict() for name, one in trained.metrics.items()},
        baseline_metrics={name: one.to_dict() for name, one in trained.baseline_metrics.items()},
        baseline=list(trained.baseline.constants),
        candidate=trained.result.name,
        params=_texts(trained.result.params),
        candidates=[
            {
                "name": one.name,
                "params": _texts(one.params),
                "fold_scores": list(one.fold_scores),
                "mean": one.mean,
                "seconds": round(one.seconds, 3),
            }
            for one in trained.results
        ],
        kinds=dict(prepared.features.kinds),
        dropped=dict(prepared.features.dropped),
        importances={name: list(pair) for name, pair in trained.importances.items()},
        identity_columns=list(prepared.identity_columns),
        split={**asdict(settings.split), "columns": list(settings.split.columns)},
        rows=len(prepared.rows),
        holdout_rows=len(prepared.holdout_rows),
        fingerprint=fingerprint.to_dict(),
        seed=settings.seed,
        digest=trained.digest,
        requirements=requirements_of(trained.model),
        python=python_version(),
        git_commit=git_commit(dag_folder),
        model_size_bytes=0,
    )


def figures_of(trained: Trained, *, seed: int) -> dict[str, str]:
    """Draw the figures of a trained model as SVG."""
    from airflow_mlops_provider.reports.figures import importance_figure, prediction_figures

    return {
        **prediction_figures(trained.predictions, seed=seed),
        "importances.svg": importance_figure(trained.importances, metric=trained.prepared.metric),
    }


def log_numbers(
    run: LoggedRun, trained: Trained, evidence: TrainingEvidence, fingerprint: Fingerprint, settings: TrainSettings
) -> None:
    """Log parameters, metrics, data and tags of a training."""
    run.log_params(
        {
            "candidate": evidence.candidate,
            "target": evidence.target,
            "task": evidence.task,
            "metric": evidence.metric,
            "positive_class": evidence.classes[1] if evidence.task == "binary" else None,
            "seed": evidence.seed,
            "folds": settings.folds,
            "class_weight": settings.class_weight,
            "split": evidence.split["method"],
            "holdout_share": evidence.split["holdout_share"],
            "split_columns": ", ".join(evidence.split["columns"])[:MAX_PARAM_CHARACTERS],
            "features": len(evidence.kinds),
            **{f"model.{name}": str(value)[:MAX_PARAM_CHARACTERS] for name, value in evidence.params.items()},
        }
    )
    metrics: dict[str, float] = {"rows_training": evidence.rows, "rows_holdout": evidence.holdout_rows}
    for name, one in trained.metrics.items():
        metrics |= {
            f"holdout_{name}": one.value,
            f"holdout_{name}_lower": one.lower,
            f"holdout_{name}_upper": one.upper,
        }
    metrics |= {f"baseline_{name}": one.value for name, one in trained.baseline_metrics.items()}
    metrics |= {
        f"cv.{_NOT_IN_KEYS.sub('_', one.name)}.{evidence.metric}": one.mean
        for one in trained.results
        if one.mean is not None
    }
    run.log_metrics(metrics)
    for fold, score in enumerate(trained.result.fold_scores):
        run.log_metrics({f"fold_{evidence.metric}": score}, step=fold)
    run.log_dataset(fingerprint, context="training", columns=dict(evidence.kinds))
    tags = {"mlops.digest": evidence.digest, "mlops.python": evidence.python}
    if evidence.git_commit:
        tags["mlflow.source.git.commit"] = evidence.git_commit
    run.set_tags(tags)


def primary_metric(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the deciding metric that a version's tags hold, in the form in which training announces it."""
    name = tags.get("mlops.primary_metric")
    if name is None:
        return {"metric": None, "metrics": {}}
    value = {bound: float(tags[f"mlops.primary_{bound}"]) for bound in ("value", "lower", "upper")}
    return {"metric": name, "metrics": {name: value}}


def version_tags(evidence: TrainingEvidence) -> dict[str, str]:
    """Return the tags of a version: what the MLflow UI shows of its training."""
    primary = evidence.metrics[evidence.metric]
    return {
        "mlops.primary_metric": evidence.metric,
        "mlops.primary_value": f"{primary['value']:.6g}",
        "mlops.primary_lower": f"{primary['lower']:.6g}",
        "mlops.primary_upper": f"{primary['upper']:.6g}",
        "mlops.candidate": evidence.candidate,
        "mlops.digest": evidence.digest,
        "mlops.data_sha256": str(evidence.fingerprint["sha256"]),
    }


def dag_folder(context: Context) -> Path:
    """Return where the DAG's file is."""
    fileloc = getattr(context["dag"], "fileloc", None)
    return Path(fileloc).parent if fileloc else Path.cwd()


def _json_scalar(value: Any) -> Any:
    """Return a NumPy scalar as Python's own; everything else as it is."""
    return value.item() if getattr(value, "shape", None) == () else value


def _texts(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON values; what is no plain scalar becomes its representation."""
    plain = {str(name): _json_scalar(value) for name, value in params.items()}
    return {name: value if _is_json_scalar(value) else repr(value) for name, value in plain.items()}


def _is_json_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, str | int)
