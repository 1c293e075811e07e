from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseNotifier

from airflow_mlops_provider.core.errors import (
    DataChangedError,
    InputError,
    MLOpsError,
    OutageError,
    UnfinishedDataError,
)
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.exceptions import InvalidInputError, RejectedError, RetryableError
from airflow_mlops_provider.operators.base import MLOpsOperator

REJECTED = {"passed": False, "reasons": ["too old", "too small"]}


class Does(MLOpsOperator):
    """Returns or raises what it is given, and remembers how often it ran."""

    def __init__(self, *, what: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.what = what
        self.tries: list[int] = []

    def perform(self, context: Any) -> dict[str, Any]:
        self.tries.append(context["ti"].try_number)
        if isinstance(self.what, BaseException):
            raise self.what
        return dict(self.what)


class Pager(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.sent: list[str] = []

    def notify(self, context: Any) -> None:
        self.sent.append(f"{self.text}: {'; '.join(context['verdict']['reasons'])}")


def run(run_dag: Callable[..., Any], what: Any, **settings: Any) -> tuple[Any, Does]:
    with DAG("base_operator", schedule=None, default_args={"retries": 2, "retry_delay": timedelta(0)}) as dag:
        operator = Does(task_id="does", what=what, **settings)
    return run_dag(dag), operator


@pytest.mark.parametrize(
    ("error", "becomes", "tries"),
    [
        (InputError("the column is wrong"), InvalidInputError, 1),
        (DataChangedError("the file moved"), RetryableError, 3),
        (UnfinishedDataError("the table is not whole"), RetryableError, 3),
        (OutageError("the server is away"), RetryableError, 3),
        (KeyError("a mistake of ours"), KeyError, 3),
    ],
)
def test_only_what_may_pass_is_tried_again(
    run_dag: Callable[..., Any], error: MLOpsError, becomes: type[BaseException], tries: int
) -> None:
    outcome, operator = run(run_dag, error)
    assert outcome.states["does"] == "failed"
    assert type(outcome.errors["does"]) is becomes
    assert str(outcome.errors["does"]) == str(error)
    assert len(operator.tries) == tries


@pytest.mark.parametrize("result", [{"rows": 3}, {"passed": True, "reasons": []}])
def test_a_good_result_is_the_xcom_and_nobody_is_alerted(run_dag: Callable[..., Any], result: dict[str, Any]) -> None:
    pager = Pager("never")
    outcome, _ = run(run_dag, result, alerts=[pager])
    assert outcome.xcoms["does"] == result
    assert pager.sent == []


@pytest.mark.parametrize(("on_reject", "state"), [("fail", "failed"), ("skip", "skipped"), ("continue", "success")])
def test_a_rejection_is_in_the_xcom_is_alerted_once_and_ends_as_wanted(
    run_dag: Callable[..., Any], on_reject: str, state: str
) -> None:
    pager = Pager("{{ dag.dag_id }}")
    outcome, operator = run(run_dag, REJECTED, on_reject=on_reject, alerts=[pager])
    assert outcome.states["does"] == state
    assert outcome.xcoms["does"] == REJECTED
    assert pager.sent == ["base_operator: too old; too small"]
    assert len(operator.tries) == 1
    if state == "failed":
        assert type(outcome.errors["does"]) is RejectedError
        assert str(outcome.errors["does"]) == "does: rejected: too old; too small"


def test_an_alert_that_fails_does_not_change_the_verdict_nor_silence_the_next(run_dag: Callable[..., Any]) -> None:
    def broken(context: Any) -> None:
        raise ConnectionError("no line")

    pager = Pager("second")
    outcome, _ = run(run_dag, REJECTED, on_reject="skip", alerts=[broken, pager])
    assert outcome.states["does"] == "skipped"
    assert pager.sent == ["second: too old; too small"]


def test_a_query_and_its_values_are_rendered_once() -> None:
    operator = Does(task_id="does", what={})
    query = SqlQuery("select * from t where d = '{{ day }}'", "db", {"x": "{{ day }}", "n": 3})
    rendered = operator.render_data(query, {"day": "{{ 7 * 7 }}"})
    assert rendered == SqlQuery("select * from t where d = '{{ 7 * 7 }}'", "db", {"x": "{{ 7 * 7 }}", "n": 3})
    assert operator.render_data(SqlQuery("select 1", "db"), {}).parameters is None
    assert operator.render_data("a.csv", {}) == "a.csv"


def test_an_unknown_on_reject_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(InputError, match="on_reject of Does must be one of fail, skip, continue; got 'explode'"):
        Does(task_id="does", what={}, on_reject="explode")


def test_a_path_that_ends_like_a_template_stays_a_path() -> None:
    from airflow_mlops_provider.operators.train_model import TrainModelOperator

    with DAG("paths", schedule=None):
        operator = TrainModelOperator(
            task_id="train", model_name="m", data="queries/customers.sql", target="y", estimator="a.B"
        )
    assert operator.template_ext == ()
    operator.resolve_template_files()
    assert operator.data == "queries/customers.sql"
