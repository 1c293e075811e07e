"""The operator that validates data: preconditions and expectations in, a verdict, a report and an MLflow run out.

Importing and constructing it loads neither Great Expectations nor pandas; both are loaded when the task runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.preconditions import (
    DEFAULT_MAX_MISSING_SHARE,
    PreconditionPolicy,
    RequiredKind,
)
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator

if TYPE_CHECKING:
    from airflow.sdk import Asset, Context, XComArg
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from sqlalchemy import Engine

    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.validation.suites import SuiteSource

FROM_MODEL = "from_model"
REPORT = "validation/report.html"
RESULT = "validation/result.json"


class ValidateDataOperator(MLOpsOperator):
    """Validate a table before anything is built on it.

    The preconditions (`min_rows` to `required_columns`) are checked first, because Great Expectations calls an empty
    table and a column without values fine. Then the expectations run: on pandas, or inside the database for a
    :class:`SqlQuery` without bound parameters, whose rows are then never fetched. A broken precondition, a critical
    expectation that does not hold, and a critical one that could not be checked reject the data; expectations of
    severity ``warning`` or ``info`` are reported.

    Parameters
    ----------
    data : str, path, Asset, SqlQuery or list of those
        What to validate (templated).
    suite : list, str, ExpectationSuite or callable
        Expectations as dicts ``{"type", "kwargs", "severity"}`` or Great Expectations' objects; or the path of a suite
        in JSON; or a callable without arguments that returns one of these, called when the task runs; or
        ``"from_model"``: what the champion's training rows suggest (templated).
    model_name : str, optional
        Whose champion, for ``suite="from_model"`` (templated).
    min_rows : int, default 1
        Fewest rows (templated).
    max_missing_share : float or mapping of column to float, default 0.05
        Largest share of nulls in a column; ``"*"`` stands for the columns not named (templated).
    max_age : timedelta, optional
        Largest age of the newest `timestamp_column`, or of the files when no column is named.
    timestamp_column : str, optional
        Column of times; one in the future rejects the data (templated).
    timestamp_timezone : str, optional
        IANA time zone of times that carry none.
    unique : sequence of str, default ()
        Columns that together identify a row; nulls in them reject the data (templated).
    required_columns : sequence of str, or mapping of column to type, default ()
        Types are integer, number, string, boolean and datetime (templated).
    include_unexpected_values : bool, default False
        Whether up to 20 values of the data that break an expectation appear in XCom, report and MLflow.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.

    Notes
    -----
    XCom: ``passed, reasons, warnings, data`` (uri, fingerprint or None), ``engine, rows, columns, statistics, findings,
    expectations`` (failures first, at most 50; the rest counted in ``left_out``), ``run_id, experiment_id, run_url,
    report_url, report_artifact``.

    Examples
    --------
    >>> ValidateDataOperator(
    ...     task_id="validate",
    ...     data="/data/{{ params.day }}.parquet",
    ...     suite=[{"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 0}}],
    ...     unique=["customer_id"],
    ... )
    <Task(ValidateDataOperator): validate>
    """

    template_fields: Sequence[str] = (
        *MLOpsOperator.template_fields,
        "data",
        "suite",
        "model_name",
        "min_rows",
        "max_missing_share",
        "timestamp_column",
        "unique",
        "required_columns",
    )

    def __init__(
        self,
        *,
        data: str | Asset | SqlQuery | Sequence[str | Asset] | XComArg,
        suite: SuiteSource,
        model_name: str | None = None,
        min_rows: int | str = 1,
        max_missing_share: float | str | Mapping[str, float | str] = DEFAULT_MAX_MISSING_SHARE,
        max_age: timedelta | None = None,
        timestamp_column: str | None = None,
        timestamp_timezone: str | None = None,
        unique: Sequence[str] = (),
        required_columns: Sequence[str] | Mapping[str, RequiredKind | None] = (),
        include_unexpected_values: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data = data
        # Airflow would call a callable in a template field itself, with arguments of its own.
        self.suite: Any = None if callable(suite) else suite
        self.suite_factory = suite if callable(suite) else None
        if (suite == FROM_MODEL) != (model_name is not None):
            raise InputError(
                'model_name of ValidateDataOperator belongs to suite="from_model", and the other way round.'
            )
        self.model_name = model_name
        self.min_rows = min_rows
        self.max_missing_share = max_missing_share
        self.timestamp_column = timestamp_column
        self.unique = unique
        self.required_columns = required_columns
        # Raises at once for what no template can change.
        self.max_age = PreconditionPolicy(max_age=max_age).max_age
        self.timestamp_timezone = timestamp_timezone
        self.include_unexpected_values = include_unexpected_values

    def perform(self, context: Context) -> dict[str, Any]:
        """Validate, log the evidence, and return the verdict."""
        from airflow_mlops_provider.operators.tracking import context_tags
        from airflow_mlops_provider.registry.runs import logged_run
        from airflow_mlops_provider.validation.suites import load_suite

        policy = self._policy()
        expectations = load_suite(self.suite_factory or self._suite())
        data = self.render_data(self.data, context)
        with (
            MlflowHook(self.mlflow_conn_id).open() as registry,
            logged_run(
                registry,
                experiment_name=self.experiment_name,
                run_name=f"validate {self.task_id}",
                tags=context_tags(context, type(self).__name__),
            ) as run,
        ):
            result = self._validate(data, expectations, policy)
            return self._record(run, result, context)

    def _suite(self) -> Any:
        if self.model_name is None:
            return self.suite
        from airflow_mlops_provider.registry.champion import resolve
        from airflow_mlops_provider.registry.profiles import training_suite
        from airflow_mlops_provider.registry.versions import CHAMPION

        with MlflowHook(self.mlflow_conn_id).open() as registry:
            champion = resolve(registry, self.model_name, None, alias=CHAMPION)
            self.log.info("The suite is that of %s", champion.label)
            return training_suite(registry, champion)

    def _policy(self) -> PreconditionPolicy:
        """Read the rendered thresholds, which Jinja leaves as text."""
        required = self.required_columns
        if not isinstance(required, Mapping):
            required = dict.fromkeys(_names("required_columns", required))
        share: Any = self.max_missing_share
        return PreconditionPolicy(
            min_rows=_rendered("min_rows", self.min_rows, int),
            max_missing_share=(
                {name: _rendered("max_missing_share", value, float) for name, value in share.items()}
                if isinstance(share, Mapping)
                else _rendered("max_missing_share", share, float)
            ),
            max_age=self.max_age,
            timestamp_column=self.timestamp_column or None,
            timestamp_timezone=self.timestamp_timezone,
            unique=_names("unique", self.unique),
            required_columns=required,
        )

    def _validate(
        self, data: Any, expectations: Sequence[ExpectationConfiguration], policy: PreconditionPolicy
    ) -> dict[str, Any]:
        from airflow_mlops_provider.hooks.data import open_data
        from airflow_mlops_provider.validation.validate import validate_query, validate_table

        settings: dict[str, Any] = {
            "now": datetime.now(UTC),
            "include_unexpected_values": self.include_unexpected_values,
        }
        engine = self._engine(data) if isinstance(data, SqlQuery) else None
        if engine is not None:
            uri = f"sql://{data.conn_id}"
            try:
                return validate_query(engine, data.sql, expectations, policy, uri=uri, **settings)
            finally:
                engine.dispose()
        with open_data(data) as source:
            return validate_table(source, expectations, policy, **settings)

    def _engine(self, query: SqlQuery) -> Engine | None:
        """Return where to push the query down to, or None, and log why, when its rows have to be fetched."""
        from airflow_mlops_provider.hooks.data import sql_hook
        from airflow_mlops_provider.validation.query_facts import can_be_pushed_down

        if not can_be_pushed_down(query):
            self.log.info(
                "The query has parameters, or a colon before a word; its rows are fetched and validated here."
            )
            return None
        hook = sql_hook(query.conn_id)
        try:
            engine: Engine = hook.get_sqlalchemy_engine()
        except Exception as error:
            # Whatever keeps a provider from giving an engine, the rows can still be fetched.
            reason = type(error).__name__
            self.log.info("Connection %s gives no SQLAlchemy engine (%s); its rows are fetched.", query.conn_id, reason)
            return None
        return engine

    def _record(self, run: LoggedRun, result: Mapping[str, Any], context: Context) -> dict[str, Any]:
        from airflow_mlops_provider.core.specs import Fingerprint
        from airflow_mlops_provider.reports.validation import validation_report
        from airflow_mlops_provider.validation.outcome import metrics, small

        ti = context["ti"]
        about = {
            "DAG": ti.dag_id,
            "Task": ti.task_id,
            "Run": ti.run_id,
            "Time": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        }
        if result["data"]["fingerprint"] is not None:
            run.log_dataset(Fingerprint(**result["data"]["fingerprint"]), context="validation")
        run.set_tags({"mlops.passed": result["passed"], "mlops.data": result["data"]["uri"][:1000]})
        run.log_metrics(metrics(result))
        run.log_dict(result, RESULT)
        run.log_text(validation_report(result, about=about), REPORT)
        counts = result["statistics"]
        self.log.info(
            "%s: %d rows, %d preconditions broken, %d of %d expectations hold. %s.",
            result["data"]["uri"],
            result["rows"],
            counts["findings"],
            counts["expectations_succeeded"],
            counts["expectations_evaluated"],
            "Passed" if result["passed"] else "Rejected",
        )
        for warning in result["warnings"]:
            self.log.warning("Not critical: %s", warning)
        return {
            **small(result),
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "run_url": run.url(),
            "report_url": run.url(REPORT),
            "report_artifact": REPORT,
        }


def _rendered(name: str, value: Any, kind: Callable[[str], Any]) -> Any:
    """Return a threshold; text, which is what a template gives, is read as a number."""
    if not isinstance(value, str):
        return value
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"{name} of ValidateDataOperator must be a number; got {value!r} after rendering.") from None


def _names(name: str, value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value or ())
    if not all(isinstance(each, str) and each for each in names):
        raise InputError(f"{name} of ValidateDataOperator must hold names of columns; got {list(names)}.")
    return names
