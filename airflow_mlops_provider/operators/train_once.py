"""Training as one effect: a model is trained, logged and registered once, however often its task dies.

What an earlier try left is taken over: a registered version as it is, a whole model by registering it. Anything less is
marked as unfinished and trained again, because a version is what counts, not a run.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider import __version__
from airflow_mlops_provider.core.input_hash import input_sha256
from airflow_mlops_provider.core.op_key import derived_key
from airflow_mlops_provider.core.specs import Fingerprint, TrainSettings
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.effects import op_of
from airflow_mlops_provider.operators.scoring_model import store_example
from airflow_mlops_provider.operators.tracking import (
    REPORT,
    context_tags,
    dag_folder,
    evidence_of,
    figures_of,
    log_numbers,
    version_tags,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.registry.adoption import Effect
    from airflow_mlops_provider.registry.evidence import TrainingEvidence
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version
    from airflow_mlops_provider.training.train import Trained

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a training task was asked for.

    Parameters
    ----------
    mlflow_conn_id, experiment_name, model_name : str
        Where to.
    operator : str
        Name of the operator, for the run's tags.
    fingerprint : Fingerprint
        Of the data.
    settings : TrainSettings
        How to train.
    identity : mapping of str to any
        What else decides the outcome: target, estimators, the function's source.
    trusted_types : tuple of str
        Types in the model that the user vouches for.
    allow_pickle : bool
        Whether a model that holds other types may be saved as a pickle.
    force_new : bool
        Whether other input under the key of the same task makes another version instead of an error.
    """

    mlflow_conn_id: str
    experiment_name: str
    model_name: str
    operator: str
    fingerprint: Fingerprint
    settings: TrainSettings
    identity: Mapping[str, Any]
    trusted_types: tuple[str, ...]
    allow_pickle: bool
    force_new: bool


def train_once(context: Context, training: Training, fit: Callable[[], Trained]) -> dict[str, Any]:
    """Return the result of an earlier try, or train, log and register.

    Parameters
    ----------
    context : Context
        Of the running task.
    training : Training
        What was asked for.
    fit : callable
        Trains; called only when no earlier try left a whole model.

    Returns
    -------
    dict
        The XCom: ``model_name, version, run_id, experiment_id, model_uri, run_url, report_url, model_version_url,
        metric, metrics, baseline, candidate, candidates, rows, digest, fingerprint``.

    Raises
    ------
    InputError
        An earlier try of the same task trained on other input.
    """
    effect = _effect(context, training)
    found = _adopted(context, training, effect)
    return _track(context, fit(), training, effect) if found is None else found


def _effect(context: Context, training: Training) -> Effect:
    from airflow_mlops_provider.registry.adoption import Effect
    from airflow_mlops_provider.training.environment import git_commit

    digest = input_sha256(
        {
            "data": training.fingerprint.sha256,
            "settings": {one.name: getattr(training.settings, one.name) for one in fields(training.settings)},
            "identity": training.identity,
            "commit": git_commit(dag_folder(context)),
            "package": __version__,
        }
    )
    op = op_of(context, training.model_name)
    return Effect(
        model_name=training.model_name,
        # With the input in its key, a retry of a forced training is adopted too.
        op=derived_key("force_new", op, digest) if training.force_new else op,
        input_sha256=digest,
    )


def _adopted(context: Context, training: Training, effect: Effect) -> dict[str, Any] | None:
    from airflow_mlops_provider.registry.adoption import earlier_run, earlier_version, point_challenger

    with MlflowHook(training.mlflow_conn_id).open() as registry:
        version = earlier_version(registry, effect)
        if version is None:
            whole = earlier_run(registry, effect, experiment_id=registry.experiment_id(training.experiment_name))
            if whole is None:
                return None
            run_id, model_id = whole
            evidence = _evidence(registry, training, run_id)
            version = _register(context, registry, effect, run_id=run_id, model_id=model_id, evidence=evidence)
        else:
            point_challenger(registry, version)
        return _taken_over(registry, training, version)


def _taken_over(registry: Registry, training: Training, version: Version) -> dict[str, Any]:
    """Return the result of another try of the same task."""
    from airflow_mlops_provider.registry.runs import LoggedRun

    run_id = str(version.run_id)
    evidence = _evidence(registry, training, run_id)
    log.info("Took over %s, which another try of this task had trained", version.label)
    experiment_id = str(registry.client.get_run(run_id).info.experiment_id)
    return _result(LoggedRun(registry=registry, run_id=run_id, experiment_id=experiment_id), version, evidence)


def _evidence(registry: Registry, training: Training, run_id: str) -> TrainingEvidence:
    from airflow_mlops_provider.registry.evidence import read_evidence

    return read_evidence(registry, run_id=run_id, version="of another try", model_name=training.model_name)[0]


def _track(context: Context, trained: Trained, training: Training, effect: Effect) -> dict[str, Any]:
    from airflow_mlops_provider.registry.models import log_model, write_model
    from airflow_mlops_provider.registry.runs import logged_run

    with tempfile.TemporaryDirectory(prefix="mlops-training-") as folder:
        evidence = evidence_of(
            trained, settings=training.settings, fingerprint=training.fingerprint, dag_folder=dag_folder(context)
        )
        # Refused types and a full disk show here, before anything is left in MLflow.
        size = write_model(
            trained.model,
            Path(folder) / "model",
            kinds=evidence.kinds,
            task=evidence.task,
            requirements=evidence.requirements,
            trusted_types=training.trusted_types,
            allow_pickle=training.allow_pickle,
        )
        evidence = evidence.with_size(size)
        figures = figures_of(trained, seed=training.settings.seed)
        tags = {**context_tags(context, training.operator), "mlops.model_name": training.model_name, **effect.tags()}
        with (
            MlflowHook(training.mlflow_conn_id).open() as registry,
            logged_run(
                registry,
                experiment_name=training.experiment_name,
                run_name=f"train {training.model_name}",
                tags=tags,
            ) as run,
        ):
            _log(run, trained, evidence, training, figures)
            model_id = log_model(run, Path(folder) / "model", params=trained.result.params)
            version = _register(context, registry, effect, run_id=run.run_id, model_id=model_id, evidence=evidence)
            if version.run_id != run.run_id:
                # A twin of this task was faster; what is told must all be of the version that counts.
                return _taken_over(registry, training, version)
            return _result(run, version, evidence)


def _log(
    run: LoggedRun, trained: Trained, evidence: TrainingEvidence, training: Training, figures: Mapping[str, str]
) -> None:
    import pyarrow as pa

    from airflow_mlops_provider.registry.evidence import write_evidence
    from airflow_mlops_provider.registry.reference import write_reference
    from airflow_mlops_provider.reports.training import training_report

    log_numbers(run, trained, evidence, training.fingerprint, training.settings)
    write_evidence(run, evidence, trained.prepared.training_rows)
    write_reference(
        run,
        rows=trained.prepared.table.select([*evidence.kinds, evidence.target]),
        features=list(evidence.kinds),
        predictions=trained.predictions,
        holdout=pa.Table.from_pandas(trained.prepared.holdout_rows, preserve_index=False),
        metric=evidence.metric,
        model_name=training.model_name,
        sample_rows=training.settings.reference_sample_rows,
    )
    store_example(run, trained.model, evidence)
    for name, svg in figures.items():
        run.log_text(svg, f"figures/{name}")
    report = training_report(model_name=training.model_name, evidence=evidence.to_dict(), figures=figures)
    run.log_text(report, REPORT)


def _register(
    context: Context, registry: Registry, effect: Effect, *, run_id: str, model_id: str, evidence: TrainingEvidence
) -> Version:
    from airflow_mlops_provider.registry.adoption import register

    version = register(
        registry,
        effect,
        model_id=model_id,
        run_id=run_id,
        tags=version_tags(evidence),
        description=f"{evidence.candidate}, trained by {context['dag'].dag_id}.",
    )
    log.info("Registered %s as challenger", version.label)
    return version


def _result(run: LoggedRun, version: Version, evidence: TrainingEvidence) -> dict[str, Any]:
    brief = {name: {key: one[key] for key in ("value", "lower", "upper")} for name, one in evidence.metrics.items()}
    return {
        "model_name": version.model_name,
        "version": version.version,
        "model_uri": f"models:/{version.model_name}/{version.version}",
        "run_id": run.run_id,
        "experiment_id": run.experiment_id,
        "run_url": run.url(),
        "report_url": run.url(REPORT),
        "model_version_url": run.registry.version_url(model_name=version.model_name, version=version.version),
        "metric": evidence.metric,
        "metrics": brief,
        "baseline": {name: one["value"] for name, one in evidence.baseline_metrics.items()},
        "candidate": evidence.candidate,
        "candidates": [{"name": one["name"], "mean": one["mean"]} for one in evidence.candidates],
        "rows": {"training": evidence.rows, "holdout": evidence.holdout_rows},
        "digest": evidence.digest,
        "fingerprint": dict(evidence.fingerprint),
    }
