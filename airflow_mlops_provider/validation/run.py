"""Runs checked expectations with Great Expectations, on pandas or inside a database, and keeps only what may be told.

Great Expectations quotes data in results, exceptions, logs and its progress bar. Only counts, shares and aggregates
are taken over from there, so a value of the data cannot leave by accident. Nothing is written to disk.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import OutageError
from airflow_mlops_provider.validation.outcome import ExpectationOutcome
from airflow_mlops_provider.validation.query_facts import READ_ONLY, as_table
from airflow_mlops_provider.validation.quiet import quiet_gx

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from sqlalchemy import Engine

# Key in an expectation's meta by which its result is found again: Great Expectations returns results in another order.
_NUMBER = "airflow_mlops_provider.number"
# What these observe is an aggregate. A minimum, maximum, median, quantile or mode is the value of some row.
_AGGREGATES = (
    "expect_table_",
    "expect_column_mean_",
    "expect_column_stdev_",
    "expect_column_sum_",
    "expect_column_unique_value_count_",
    "expect_column_proportion_of_",
    "expect_column_kl_divergence_",
)
# How SQLAlchemy files a lost connection; SQLite files a wrong statement there too.
_OUTAGE = re.compile(
    r"^sqlalchemy\.exc\.(OperationalError|InterfaceError|TimeoutError)\b"
    r"(?!: \(sqlite3\.\w+\) (no such|near|wrong|Could not decode|attempt to write))",
    re.M,
)
_LOST = "the database did not answer"
UNEXPECTED_VALUES_SHOWN = 20
SETTINGS_LENGTH = 300


def run_on_frame(
    expectations: Sequence[ExpectationConfiguration], frame: pd.DataFrame, *, include_unexpected_values: bool = False
) -> tuple[ExpectationOutcome, ...]:
    """Run expectations on a DataFrame.

    Parameters
    ----------
    expectations : sequence of ExpectationConfiguration
        From :func:`airflow_mlops_provider.validation.suites.load_suite`.
    frame : pandas.DataFrame
        With at least one row.
    include_unexpected_values : bool, default False
        Whether up to 20 values that break an expectation are told.

    Returns
    -------
    tuple of ExpectationOutcome
        One for each expectation, in order.
    """
    with quiet_gx():
        source = _context().data_sources.add_pandas("data")
        definition = source.add_dataframe_asset("data").add_batch_definition_whole_dataframe("data")
        batch = definition.get_batch({"dataframe": frame})
        return _run(expectations, batch, list(map(str, frame.columns)), include_unexpected_values)


def run_in_database(
    expectations: Sequence[ExpectationConfiguration],
    engine: Engine,
    sql: str,
    columns: Sequence[str],
    *,
    include_unexpected_values: bool = False,
) -> tuple[ExpectationOutcome, ...]:
    """Run expectations on the result of a query inside the database.

    Parameters
    ----------
    expectations : sequence of ExpectationConfiguration
        From :func:`airflow_mlops_provider.validation.suites.load_suite`.
    engine : sqlalchemy.Engine
        Tells where the database is; Great Expectations makes an engine of its own from its URL.
    sql : str
        One ``SELECT`` that can be pushed down, see :mod:`airflow_mlops_provider.validation.query_facts`.
    columns : sequence of str
        Of its result.
    include_unexpected_values : bool, default False
        Whether up to 20 values that break an expectation are told.

    Returns
    -------
    tuple of ExpectationOutcome
        One for each expectation, in order.

    Raises
    ------
    OutageError
        The database failed on the way.
    """
    # The dollar sign is how Great Expectations marks a variable of its configuration; rendered URLs escape it.
    url = engine.url.render_as_string(hide_password=False)
    with quiet_gx():
        source = _context().data_sources.add_sql("data", connection_string=url)
        _let_only_read(source.get_execution_engine().engine)
        try:
            asset = source.add_query_asset("data", query=as_table(sql))
            batch = asset.add_batch_definition_whole_table("data").get_batch()
            outcomes = _run(expectations, batch, columns, include_unexpected_values)
        finally:
            source.get_execution_engine().engine.dispose()
            source.get_engine().dispose()
    if any(outcome.error == _LOST for outcome in outcomes):
        raise OutageError("The database failed while expectations ran; nothing was written. A retry may succeed.")
    return outcomes


def _let_only_read(engine: Engine) -> None:
    """Let the database refuse whatever writes, in every transaction that Great Expectations begins."""
    from sqlalchemy import event

    command = READ_ONLY.get(engine.dialect.name)
    if command is not None:
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(command))


def _context() -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        # The default context makes a directory for its documentation site.
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _run(
    expectations: Sequence[ExpectationConfiguration], batch: Batch, columns: Sequence[str], include: bool
) -> tuple[ExpectationOutcome, ...]:
    from great_expectations.core import ExpectationSuite

    numbered = []
    for number, expectation in enumerate(expectations):
        configuration = expectation.to_domain_obj().configuration
        configuration.meta = {**(configuration.meta or {}), _NUMBER: number}
        numbered.append(configuration.to_domain_obj())
    # Given to the constructor, because adding to a suite replaces an expectation of the same type on the same column.
    suite = ExpectationSuite(name="suite", expectations=numbered)
    shown = UNEXPECTED_VALUES_SHOWN if include else 0
    result_format = {"result_format": "BASIC", "partial_unexpected_count": shown}
    # ValidationDefinition.run() would fail on numpy booleans in results (quantiles); Batch.validate() does not.
    results = batch.validate(suite, result_format=result_format).results
    found = {result.expectation_config.meta[_NUMBER]: result for result in results if result.expectation_config}
    return tuple(
        _outcome(expectation, found.get(number), columns, include) for number, expectation in enumerate(expectations)
    )


def _outcome(
    expectation: ExpectationConfiguration,
    result: ExpectationValidationResult | None,
    columns: Sequence[str],
    include: bool,
) -> ExpectationOutcome:
    details: Mapping[str, Any] = (result and result.result) or {}
    error = _error(expectation, result, columns) or _unchecked(details)
    count, percent = details.get("unexpected_count"), _number(details.get("unexpected_percent"))
    tellable = include or expectation.type.startswith(_AGGREGATES)
    values = details.get("partial_unexpected_list") if include else None
    return ExpectationOutcome(
        type=expectation.type,
        column=_column(expectation),
        settings=_settings(expectation),
        severity=str(getattr(expectation.severity, "value", expectation.severity)),
        success=bool(result and result.success) and error is None,
        unexpected_count=None if error or count is None else int(count),
        unexpected_share=None if error or percent is None else percent / 100,
        observed_value=_number(details.get("observed_value")) if tellable else None,
        error=error,
        unexpected_values=tuple(str(value) for value in values) if values else None,
    )


def _error(
    expectation: ExpectationConfiguration, result: ExpectationValidationResult | None, columns: Sequence[str]
) -> str | None:
    if result is None:
        return "Great Expectations gave no result for it"
    info = result.exception_info or {}
    # One exception of the expectation itself, or one for each metric it is made of.
    infos = [info] if "raised_exception" in info else list(info.values())
    raised = [each for each in infos if each.get("raised_exception") or each.get("exception_traceback")]
    if not raised:
        return None
    absent = [name for name in _columns(expectation) if name not in columns]
    if absent:
        return f"column {', '.join(map(repr, absent))} is missing"
    tracebacks = [str(each.get("exception_traceback")) for each in raised]
    if any(_OUTAGE.search(traceback) for traceback in tracebacks):
        return _LOST
    return f"{_cause(tracebacks[0])} was raised; the type of the values may not suit it"


def _unchecked(details: Mapping[str, Any]) -> str | None:
    """Find the expectation that holds because it saw no value at all."""
    elements, missing = details.get("element_count"), details.get("missing_count")
    if elements is None or (elements > 0 and (missing is None or missing < elements)):
        return None
    return "no row meets its condition" if elements == 0 else "every value is missing"


def _cause(traceback: str) -> str:
    """Return the class of the first exception in a traceback; its message may quote data and is left out."""
    lines = traceback.splitlines()
    heads = (line for line in lines[1:] if line and not line[0].isspace())
    match = re.match(r"([A-Za-z_][\w.]*)(?::|$)", next(heads, ""))
    return match.group(1).rsplit(".", maxsplit=1)[-1] if match else "an exception"


def _columns(expectation: ExpectationConfiguration) -> list[str]:
    kwargs = expectation.kwargs
    single = [kwargs[key] for key in ("column", "column_A", "column_B") if kwargs.get(key)]
    return [str(name) for name in [*single, *(kwargs.get("column_list") or ())]]


def _column(expectation: ExpectationConfiguration) -> str | None:
    return ", ".join(_columns(expectation)) or None


def _settings(expectation: ExpectationConfiguration) -> str:
    skipped = {"column", "column_A", "column_B", "column_list"}
    text = ", ".join(f"{key}={value!r}" for key, value in expectation.kwargs.items() if key not in skipped)
    return text if len(text) <= SETTINGS_LENGTH else f"{text[: SETTINGS_LENGTH - 1]}…"


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, bool | str):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
