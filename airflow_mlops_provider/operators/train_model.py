"""The training operator: data, settings and candidates in; a registered challenger with its evidence out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.metrics import find
from airflow_mlops_provider.core.names import check_model_name
from airflow_mlops_provider.core.specs import Search, Split, Task, TrainSettings, candidates_of, from_mapping
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.model_events import emit, model_outlet
from airflow_mlops_provider.operators.train_once import Training, train_once

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["Search", "Split", "TrainModelOperator"]


class TrainModelOperator(MLOpsOperator):
    """Train the best of some scikit-learn estimators, track it in MLflow and register it as the challenger.

    Rows are put aside by a stable hash before anything is fitted. Each candidate gets the preprocessing its estimator
    needs, is searched and cross-validated on the training rows, and the best is fitted on all of them. The held-out
    rows give the metrics with confidence intervals, beside those of a baseline that knows only the target's
    distribution. The model is saved as skops, never as pickle.

    Parameters
    ----------
    model_name : str
        Registered model in MLflow; created when missing. Templated.
    data : str, path, Asset, SqlQuery, or a list of these
        Table to learn from. Templated.
    target : str
        Column to predict. Templated.
    estimator : str, estimator, mapping, Candidate, or a list of these
        Candidates: an import path such as ``"sklearn.ensemble.RandomForestClassifier"``, a scikit-learn object, or
        ``{"estimator": path, "params": {…}, "search": {"space": {…}, "method": "grid"}, "name": …}``. Templated.
    task : {"binary", "multiclass", "regression"}, optional
        Default: told from the target's values.
    positive_class : scalar, optional
        Binary only; default the greater of the two classes in sort order.
    features : sequence of str, optional
        Columns to learn from; default all but the target and `drop_columns`.
    drop_columns : sequence of str
        Columns to leave out, such as identifiers.
    split : Split or mapping, optional
        How rows are held out; default a fifth of them, by a hash of the whole row. Name key columns where rows have
        them: a row whose values are corrected later then stays on its side.
    metric : str, optional
        What decides among candidates; default ``roc_auc`` for classes and ``rmse`` for regression.
    folds : int, default 5
        Folds of the cross-validation; 0 for none.
    seed : int, default 0
        Of everything random. The same rows, settings and package versions give the same model, whose digest is logged.
    class_weight : "balanced" or mapping of class to weight, optional
        Given to the estimators.
    preprocessing : "auto", None or transformer
        ``auto`` imputes, encodes and scales as the estimator needs; a pipeline given as estimator is left alone.
    reference_sample_rows : int, default 0
        Training rows to keep with the version as they are, for drift checks that need rows; 0 keeps none.
    trusted_types : sequence of str
        Types in the model, beyond scikit-learn's own, that may be saved and loaded.
    allow_pickle : bool, default False
        Save a model that holds other types as a pickle, which whoever loads it must allow too.
    force_new : bool, default False
        A task that is tried again takes over what its earlier try trained, and fails when data, settings or code are
        others by then. True makes another version in that case.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.

    Notes
    -----
    XCom: ``model_name, version, model_uri, run_id, experiment_id, metric, metrics, baseline, candidate, candidates,
    rows, digest, fingerprint`` and the addresses ``run_url, report_url, model_version_url``. An asset event on
    ``mlflow://models/<model_name>`` carries the version, its metrics and its run.

    Examples
    --------
    >>> TrainModelOperator(
    ...     task_id="train",
    ...     model_name="churn",
    ...     data="/customers/labelled.parquet",
    ...     target="churn",
    ...     estimator=[
    ...         "sklearn.linear_model.LogisticRegression",
    ...         {
    ...             "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
    ...             "search": {"space": {"max_leaf_nodes": [7, 15, 31]}, "method": "grid"},
    ...         },
    ...     ],
    ...     split={"columns": ["customer_id"]},
    ... )
    <Task(TrainModelOperator): train>
    """

    template_fields: Sequence[str] = (
        *MLOpsOperator.template_fields,
        "model_name",
        "data",
        "target",
        "estimator",
    )

    def __init__(
        self,
        *,
        model_name: str,
        data: Any,
        target: str,
        estimator: Any,
        task: Task | None = None,
        positive_class: Any = None,
        features: Sequence[str] | None = None,
        drop_columns: Sequence[str] = (),
        split: Split | Mapping[str, Any] | None = None,
        metric: str | None = None,
        folds: int = 5,
        seed: int = 0,
        class_weight: Any = None,
        preprocessing: Any = "auto",
        reference_sample_rows: int = 0,
        trusted_types: Sequence[str] = (),
        allow_pickle: bool = False,
        force_new: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.data = data
        self.target = target
        self.estimator = estimator
        if metric is not None:
            find(metric, task=task)
        self.settings = TrainSettings(
            task=task,
            positive_class=positive_class,
            features=features,
            drop_columns=drop_columns,
            split=split_of(split),
            metric=metric,
            folds=folds,
            seed=seed,
            class_weight=class_weight,
            preprocessing=preprocessing,
            reference_sample_rows=reference_sample_rows,
        )
        self.trusted_types = tuple(trusted_types)
        self.allow_pickle = allow_pickle
        self.force_new = force_new
        self.outlet = model_outlet(model_name)
        self.outlets = [*self.outlets, self.outlet]

    def perform(self, context: Context) -> dict[str, Any]:
        """Train, log and register."""
        from airflow_mlops_provider.training.train import train

        check_model_name(self.model_name)
        candidates = candidates_of(self.estimator)
        with open_data(self.render_data(self.data, context)) as source:
            fingerprint = source.fingerprint()
            self.log.info("Read %s: %d rows, SHA-256 %s", fingerprint.uri, fingerprint.rows, fingerprint.sha256)
            training = Training(
                mlflow_conn_id=self.mlflow_conn_id,
                experiment_name=self.experiment_name,
                model_name=self.model_name,
                operator=type(self).__name__,
                fingerprint=fingerprint,
                settings=self.settings,
                identity={"target": self.target, "estimator": self.estimator},
                trusted_types=self.trusted_types,
                allow_pickle=self.allow_pickle,
                force_new=self.force_new,
            )
            result = train_once(
                context,
                training,
                lambda: train(
                    source.to_table(),
                    target=self.target,
                    candidates=candidates,
                    settings=self.settings,
                    log=self.log.info,
                ),
            )
        emit_version(context, self.outlet, result)
        return result


def split_of(given: Split | Mapping[str, Any] | None) -> Split:
    """Return the split that a user's argument stands for."""
    return from_mapping(Split, given) if isinstance(given, Mapping) else given or Split()


def emit_version(context: Context, outlet: Any, result: Mapping[str, Any]) -> None:
    """Announce a new version on the model's asset."""
    keys = ("version", "run_id", "metric", "metrics", "candidate", "digest")
    extra = {"event": "version_created", **{key: result[key] for key in keys}}
    emit(context, outlet, model_name=result["model_name"], extra=extra)
