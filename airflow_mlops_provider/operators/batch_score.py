"""The scoring operator: new rows through the champion, checked on the way in and out, published whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.prediction_policy import PredictionPolicy
from airflow_mlops_provider.core.skew_policy import SkewPolicy
from airflow_mlops_provider.hooks.data import airflow_access, open_data
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.effects import op_of
from airflow_mlops_provider.operators.scoring_arguments import (
    output_outlet,
    parse_time,
    prediction_policy,
    scoring_experiment,
    skew_policy,
)
from airflow_mlops_provider.operators.scoring_outcome import ScoringOutcome, refused
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.core.prediction_policy import PredictionReport
    from airflow_mlops_provider.core.skew_policy import SkewReport
    from airflow_mlops_provider.data.output import Place
    from airflow_mlops_provider.data.source import DataSource
    from airflow_mlops_provider.operators.scoring import Pass
    from airflow_mlops_provider.operators.scoring_lanes import Lane
    from airflow_mlops_provider.operators.scoring_model import ScoringModel


class BatchScoreOperator(MLOpsOperator):
    """Score a table with a registered model, in memory that does not grow with it.

    The preprocessing is the model's own. Features are compared with what that very version was trained on, and
    predictions with those it made on its held-out rows; a bad verdict keeps the output back, unless
    ``on_reject="continue"``. Rows that the model cannot score at all, as with infinite values, never make an output.
    The output appears complete and at once; a retry, also after a kill, leaves exactly one.

    Parameters
    ----------
    model_name : str
        Registered model. Templated.
    data : str, path, Asset, SqlQuery, or a list of these
        Rows to score, with the model's features in any order. Templated.
    output_path : str, path or Asset
        A path or an ``s3://`` address: a name that ends in ``.parquet`` is one file, any other a folder, complete when
        ``_SUCCESS`` is in it. Let it hold the run, as ``/scores/{{ ds }}.parquet`` does: what another run wrote is not
        replaced. While a folder is written to S3, a key ``_unfinished.…`` in it keeps readers waiting; when its writer
        is dead for good, delete the folder. A lifecycle rule for incomplete uploads removes what a kill left of files.
        Templated.
    alias : str, default "champion"
        Which version. Templated.
    version : str or int, optional
        Its number, instead of `alias`. Templated.
    key_columns : sequence of str, default ()
        Columns of the data to carry over, by which predictions are joined with labels later.
    partition_by : sequence of str, default ()
        Columns of the data that become folders ``name=value`` of the output, which is a folder then. Folders keep no
        types: text that is a whole number in each folder, such as "01", reads back as numbers. Where that matters,
        carry it in `key_columns` under another name too.
    shadow : sequence of str, default ()
        Aliases or numbers of versions that score the same rows into tables of their own, which no reader of the output
        sees. An alias that is unset is passed over; a shadow that fails harms nothing else.
    skew : SkewPolicy, mapping of its fields, or False
        What counts as training-serving skew; False does not check.
    predictions : PredictionPolicy, mapping of its fields, or False
        What counts as a silent failure; False does not check.
    scored_at : str
        Time written into each row, ISO 8601; by default the time from which the run could start, so that a retry writes
        the same table. Templated.
    overwrite : bool, default False
        Whether to replace an output of another run.
    trusted_types : sequence of str
        Types in the models, beyond scikit-learn's own, that may be loaded.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`. The default experiment is
        ``<model_name> scoring``.

    Notes
    -----
    Output columns: keys, ``prediction``, ``probability`` (of the positive class, or of the predicted one of several,
    for which there is ``probability_<class>`` too), ``model_version``, ``scored_at``.

    XCom: ``passed, reasons, model_name, version, rows, seconds, rows_per_second, output, published, fingerprint,
    output_fingerprint, skew, predictions, shadows, profile_uri, predictions_profile_uri, run_id, experiment_id,
    run_url, report_url, model_version_url``. ``profile_uri`` is the features' profile in the cells of training, which
    ``DetectDriftOperator(profile=…)`` takes without reading the rows again. A published output is an asset event on its
    ``file://`` or ``s3://`` URI.

    Examples
    --------
    >>> BatchScoreOperator(
    ...     task_id="score",
    ...     model_name="churn",
    ...     data="/customers/{{ ds }}.parquet",
    ...     output_path="/scores/{{ ds }}.parquet",
    ...     key_columns=["customer_id"],
    ...     shadow=["challenger"],
    ... )
    <Task(BatchScoreOperator): score>
    """

    template_fields: Sequence[str] = (
        *MLOpsOperator.template_fields,
        "model_name",
        "data",
        "output_path",
        "alias",
        "version",
        "shadow",
        "scored_at",
    )

    def __init__(
        self,
        *,
        model_name: str,
        data: Any,
        output_path: Any,
        alias: str = "champion",
        version: Any = None,
        key_columns: Sequence[str] = (),
        partition_by: Sequence[str] = (),
        shadow: Sequence[str] = (),
        skew: SkewPolicy | Mapping[str, Any] | bool = True,
        predictions: PredictionPolicy | Mapping[str, Any] | bool = True,
        scored_at: str = "{{ dag_run.run_after }}",
        overwrite: bool = False,
        trusted_types: Sequence[str] = (),
        experiment_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(experiment_name=scoring_experiment(experiment_name, model_name), **kwargs)
        for name, given in (("key_columns", key_columns), ("partition_by", partition_by), ("shadow", shadow)):
            if isinstance(given, str):
                raise InputError(
                    f"{name} of BatchScoreOperator must be a list; got {given!r}. Hint: write [{given!r}]."
                )
        self.model_name = model_name
        self.data = data
        self.output_path = output_path
        self.alias = alias
        self.version = version
        self.key_columns = tuple(key_columns)
        self.partition_by = tuple(partition_by)
        self.shadow = list(shadow)
        self.skew = skew_policy(skew)
        self.predictions = prediction_policy(predictions)
        self.scored_at = scored_at
        self.overwrite = overwrite
        self.trusted_types = tuple(trusted_types)
        self.outlet = output_outlet(output_path)
        self.outlets = [*self.outlets, self.outlet]

    def perform(self, context: Context) -> dict[str, Any]:
        """Load, score, judge, and let the output out or not."""
        from airflow_mlops_provider.data.output import output_place
        from airflow_mlops_provider.operators.scoring_counts import serving_schema
        from airflow_mlops_provider.operators.scoring_lanes import open_lanes

        ti = context["ti"]
        place = output_place(self.output_path, access=airflow_access())
        owner = op_of(context, str(self.model_name))
        place.check_free(owner=owner, overwrite=self.overwrite)
        model, shadows = self._load()
        with open_data(self.render_data(self.data, context)) as source, ExitStack() as stack:
            fingerprint = source.fingerprint()
            objections = () if self.skew is None else _objections(model, serving_schema(source, beside=()))
            if objections and self.on_reject != "continue":
                with MlflowHook(self.mlflow_conn_id).open() as registry:
                    return refused(model, fingerprint, objections, registry=registry)
            lanes = open_lanes(
                stack,
                source,
                [model, *shadows],
                place=place,
                keys=self._keys(),
                partition_by=self.partition_by,
                owner=owner,
                written_by=f"{ti.dag_id}.{ti.task_id} in run {ti.run_id}",
                overwrite=self.overwrite,
                log=self.log,
            )
            scored = self._score(source, lanes)
            skew = self._judge_skew(model, source, scored)
            if scored.refusal is not None and (skew is None or skew.passed or self.on_reject == "continue"):
                raise scored.refusal
            job = ScoringOutcome(
                model=model,
                lanes=lanes,
                scored=scored,
                fingerprint=fingerprint,
                skew=skew,
                predictions=None if scored.refusal is not None else self._judge_predictions(lanes[0]),
            )
            return self._finish(context, job, place)

    def _load(self) -> tuple[ScoringModel, list[ScoringModel]]:
        from airflow_mlops_provider.operators.scoring_model import load_scoring_model, load_shadows
        from airflow_mlops_provider.registry.champion import resolve

        with MlflowHook(self.mlflow_conn_id).open() as registry:
            version = resolve(registry, self.model_name, self.version, alias=self.alias)
            model = load_scoring_model(
                registry,
                version,
                trusted_types=self.trusted_types,
                with_training=self.skew is not None,
                with_heldout=self.predictions is not None,
            )
            shadows = load_shadows(registry, version, self.shadow, trusted_types=self.trusted_types)
        return model, shadows

    def _keys(self) -> list[str]:
        return list(dict.fromkeys((*self.key_columns, *self.partition_by)))

    def _score(self, source: DataSource, lanes: Sequence[Lane]) -> Pass:
        from airflow_mlops_provider.operators.scoring import run_lanes
        from airflow_mlops_provider.operators.scoring_counts import SkewCounter

        model = lanes[0].model
        counter = None
        if model.training is not None:
            counter = SkewCounter(model.training, features=model.features)
        time = parse_time(self.scored_at)
        scored = run_lanes(source, lanes, keys=self._keys(), counter=counter, scored_at=time, log=self.log)
        self.log.info("%s scored %d rows in %.1f s", model.version.label, scored.rows, scored.seconds)
        return scored

    def _judge_skew(self, model: ScoringModel, source: DataSource, scored: Pass) -> SkewReport | None:
        from airflow_mlops_provider.core.skew import check_skew

        if self.skew is None or model.training is None or scored.serving is None:
            return None
        return check_skew(
            model.training,
            scored.serving,
            features=model.features,
            policy=self.skew,
            order=source.schema().names,
            known_columns=[*model.expected, *self._keys()],
        )

    def _judge_predictions(self, lane: Lane) -> PredictionReport | None:
        from airflow_mlops_provider.core.prediction_checks import check_predictions

        if self.predictions is None or lane.model.heldout is None:
            return None
        return check_predictions(
            lane.model.heldout, lane.predictions.result(), labels=lane.model.labels, policy=self.predictions
        )

    def _finish(self, context: Context, job: ScoringOutcome, place: Place) -> dict[str, Any]:
        """Record, publish, tell."""
        from airflow_mlops_provider.registry.runs import logged_run

        published = job.passed or self.on_reject == "continue"
        with (
            MlflowHook(self.mlflow_conn_id).open() as registry,
            logged_run(
                registry,
                experiment_name=self.experiment_name,
                run_name=f"score with {job.model.version.model_name} {job.model.version.version}",
                tags={**context_tags(context, type(self).__name__), "mlops.passed": str(job.passed).lower()},
            ) as run,
        ):
            result = {**job.to_dict(), "output": job.lanes[0].table.uri, "published": published, **job.log(run)}
            result["model_version_url"] = registry.version_url(
                model_name=job.model.version.model_name, version=job.model.version.version
            )
            # Last, so that an output is never without its record.
            result |= job.publish(log=self.log) if published else {"output_fingerprint": None, "shadows": []}
        if published:
            keys = ("model_name", "version", "rows", "run_id", "passed", "profile_uri")
            extra = {"event": "scored", **{key: result[key] for key in keys}}
            context["outlet_events"][self.outlet].add(Asset(place.public_uri), extra=extra)
        return result


def _objections(model: ScoringModel, serving: Any) -> tuple[str, ...]:
    from airflow_mlops_provider.core.skew import check_schema

    return () if model.training is None else check_schema(model.training, serving, features=model.features)
