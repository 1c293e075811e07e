"""One validation from data to verdict: count, check preconditions, run expectations; it writes nothing anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.preconditions import PreconditionPolicy, check
from airflow_mlops_provider.validation.outcome import verdict
from airflow_mlops_provider.validation.query_facts import count_query
from airflow_mlops_provider.validation.run import run_in_database, run_on_frame
from airflow_mlops_provider.validation.table_facts import count_table

if TYPE_CHECKING:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from sqlalchemy import Engine

    from airflow_mlops_provider.data.source import DataSource


def validate_table(
    source: DataSource,
    expectations: Sequence[ExpectationConfiguration],
    policy: PreconditionPolicy,
    *,
    now: datetime,
    include_unexpected_values: bool = False,
) -> dict[str, Any]:
    """Validate a table with the expectations on pandas.

    Parameters
    ----------
    source : DataSource
        Open; read in batches for the preconditions, then whole for the expectations.
    expectations : sequence of ExpectationConfiguration
        From :func:`airflow_mlops_provider.validation.suites.load_suite`.
    policy : PreconditionPolicy
        What is asked before the expectations.
    now : datetime
        With time zone.
    include_unexpected_values : bool, default False
        Whether values that break an expectation are told.

    Returns
    -------
    dict
        See :func:`airflow_mlops_provider.validation.outcome.verdict`.

    Raises
    ------
    InputError, DataChangedError
        The data cannot be read, or changed meanwhile.
    """
    fingerprint = source.fingerprint()
    facts = count_table(source.schema(), source.batches(), policy)
    if policy.max_age is not None and policy.timestamp_column is None:
        if fingerprint.modified_at is None:
            raise _no_age(source.uri)
        facts = replace(facts, newest=datetime.fromisoformat(fingerprint.modified_at))
    return verdict(
        uri=source.uri,
        fingerprint=fingerprint,
        engine="pandas",
        facts=facts,
        policy=policy,
        findings=check(facts, policy, now=now),
        outcomes=run_on_frame(expectations, source.to_pandas(), include_unexpected_values=include_unexpected_values),
    )


def validate_query(
    engine: Engine,
    sql: str,
    expectations: Sequence[ExpectationConfiguration],
    policy: PreconditionPolicy,
    *,
    uri: str,
    now: datetime,
    include_unexpected_values: bool = False,
) -> dict[str, Any]:
    """Validate the result of a query inside its database; no row of it is fetched, so there is no fingerprint.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        Of the database.
    sql : str
        One ``SELECT`` that can be pushed down.
    expectations, policy, now, include_unexpected_values
        As for :func:`validate_table`.
    uri : str
        What the data are called, without credentials.

    Returns
    -------
    dict
        As of :func:`validate_table`.

    Raises
    ------
    InputError
        The query is refused, or `max_age` is asked without `timestamp_column`.
    OutageError
        The database does not answer.
    """
    if policy.max_age is not None and policy.timestamp_column is None:
        raise _no_age(uri)
    facts = count_query(engine, sql, policy)
    columns = [column.name for column in facts.columns]
    outcomes = (
        run_in_database(expectations, engine, sql, columns, include_unexpected_values=include_unexpected_values)
        if facts.rows
        else ()
    )
    return verdict(
        uri=uri,
        fingerprint=None,
        engine="sql",
        facts=facts,
        policy=policy,
        findings=check(facts, policy, now=now),
        outcomes=outcomes,
    )


def _no_age(uri: str) -> InputError:
    return InputError(
        f"{uri} has no modification time, so max_age needs timestamp_column. Hint: name a column of times."
    )
