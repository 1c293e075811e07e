"""The retraining operator in real tasks: one run for one evidence, whatever happens on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.exceptions import InvalidInputError, RejectedError, RetryableError
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.trigger_retrain import TriggerRetrainOperator
from airflow_mlops_provider.registry.ledger import read_history
from tests.watched_model import WatchedModel, asked

NOW = "2026-03-02T00:00:00+00:00"


class Nothing(BaseOperator):
    def execute(self, context: Any) -> None:
        pass


def publish(dag: DAG, *, paused: bool = False) -> str:
    """Make a DAG known to Airflow, as its DAG processor does."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    from tests.airflow_versions import DagBag, sync_bag_to_db
    from tests.conftest import HOME

    (HOME / "empty").mkdir(exist_ok=True)
    bag = DagBag(dag_folder=str(HOME / "empty"))
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        session.get(DagModel, dag.dag_id).is_paused = paused
    return dag.dag_id


@pytest.fixture
def training(airflow_home: Any, model_name: str) -> str:
    with DAG(f"training_{model_name}", schedule=None) as dag:
        Nothing(task_id="nothing")
    return publish(dag)


def runs_of(dag_id: str) -> list[Any]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return list(session.scalars(select(DagRun).where(DagRun.dag_id == dag_id).order_by(DagRun.id)))


def end(dag_id: str, state: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.dag_id == dag_id).values(state=state))


class Life:
    """A watched model, the DAG that trains it, and DAGs that may ask for it."""

    def __init__(self, run_dag: Callable[..., Any], model_name: str, training: str) -> None:
        self.run_dag, self.name, self.training = run_dag, model_name, training
        self.asked = 0

    def at(self, *doing: Callable[[WatchedModel], Any]) -> list[Any]:
        with MlflowHook().open() as registry:
            return [one(WatchedModel(registry, self.name)) for one in doing]

    def dropped(self, end: str = "2026-03-01", rows: int = 500) -> str:
        """Promote a version whose performance then drops."""

        def begin(model: WatchedModel) -> str:
            of = model.promote()
            model.check("performance", end, "drop", of=of, rows=rows)
            return of

        return str(self.at(begin)[0])

    def ask(self, *, times: int = 1, **arguments: Any) -> Any:
        self.asked += 1
        given = {"model_name": self.name, "trigger_dag_id": self.training, "now": NOW, **arguments}
        with DAG(f"monitor_{self.name}_{self.asked}", schedule=None, params={"path": "s3://data/march"}) as dag:
            for number in range(times):
                TriggerRetrainOperator(task_id=f"retrain{number}" if times > 1 else "retrain", **given)
        return self.run_dag(dag)

    def entries(self) -> list[str]:
        with MlflowHook().open() as registry:
            return [one.kind for one in read_history(registry, self.name).entries]


@pytest.fixture
def life(run_dag: Callable[..., Any], model_name: str, training: str) -> Life:
    return Life(run_dag, model_name, training)


def test_many_alarms_give_one_run_that_knows_why(life: Life) -> None:
    life.dropped()
    outcome = life.ask(times=5, conf={"data": "{{ params.path }}"})
    assert outcome.errors == {}
    assert [one["retrain"] for one in outcome.xcoms.values()].count(True) == 1
    first = next(one for one in outcome.xcoms.values() if one["retrain"])
    held = [one for one in outcome.xcoms.values() if not one["retrain"]]
    assert {tuple(one["suppressed_by"]) for one in held} == {("answered", "in_flight", "cooldown")}
    assert all(one["next_possible_at"] == "2026-03-07T00:00:00+00:00" for one in held)
    assert life.entries() == ["promote", "retrain_requested", "retrain_suppressed"]
    [run] = runs_of(life.training)
    assert run.run_id == first["trigger_run_id"]
    assert run.logical_date is None
    assert run.state == "queued"
    assert run.conf["data"] == "s3://data/march"
    about = run.conf["retrain"]
    assert about["model_name"] == life.name
    assert about["window_end"] == first["window_end"] == "2026-03-01T00:00:00+00:00"
    assert about["evidence"][0]["cause"] == "performance"
    assert about["ledger_entry"] == first["ledger_entry"] == 2
    assert about["requested_by"]["task_id"].startswith("retrain")
    assert json.loads(json.dumps(first)) == first
    # The next monitor finds the same evidence, still in flight.
    assert life.ask().xcoms["retrain"]["suppressed_by"] == ["answered", "in_flight", "cooldown"]
    assert len(runs_of(life.training)) == 1


def test_nothing_to_say_is_not_entered(life: Life) -> None:
    life.at(lambda model: model.check("drift", "2026-03-01", "drift", of=model.promote()))
    result = life.ask().xcoms["retrain"]
    assert (result["passed"], result["retrain"], result["reasons"], result["suppressed_by"]) == (True, False, [], [])
    assert (result["ledger_entry"], result["trigger_run_id"], result["champion_version"]) == (None, None, "1")
    assert life.entries() == ["promote"]
    assert runs_of(life.training) == []


def test_a_failed_training_is_asked_for_again_after_the_back_off_and_a_rejected_one_needs_new_evidence(
    life: Life,
) -> None:
    of = life.dropped()
    life.ask()
    end(life.training, "failed")
    early = life.ask(now="2026-03-08T00:00:00+00:00").xcoms["retrain"]
    assert (early["suppressed_by"], early["next_possible_at"]) == (["backoff"], "2026-03-12T00:00:00+00:00")
    assert life.ask(now="2026-03-12T00:00:00+00:00").xcoms["retrain"]["retrain"] is True
    first, second = runs_of(life.training)
    assert first.run_id != second.run_id
    end(life.training, "success")
    life.at(lambda model: model.enter("reject", at="2026-03-12T02:00:00+00:00"))
    late = "2026-06-01T00:00:00+00:00"
    assert life.ask(now=late).xcoms["retrain"]["suppressed_by"] == ["answered"]
    life.at(lambda model: model.check("performance", "2026-05-01", "drop", of=of, rows=500))
    assert life.ask(now=late).xcoms["retrain"]["retrain"] is True
    assert len(runs_of(life.training)) == 3
    # A new champion starts anew, and its monitors are calm.
    life.at(lambda model: model.promote())
    calm = life.ask(now=late).xcoms["retrain"]
    assert (calm["reasons"], calm["champion_version"]) == ([], "2")


def test_a_request_whose_task_died_before_its_run_is_finished_by_the_next_monitor(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.dropped()
    with monkeypatch.context() as patch:
        patch.setattr("airflow_mlops_provider.operators.trigger_retrain.start_run", _outage)
        assert isinstance(life.ask().errors["retrain"], RetryableError)
    assert life.entries() == ["promote", "retrain_requested"]
    assert runs_of(life.training) == []
    held = life.ask().xcoms["retrain"]
    assert held["suppressed_by"] == ["answered", "in_flight", "cooldown"]
    assert len(runs_of(life.training)) == 1


def test_a_try_after_a_death_goes_on_with_what_was_entered(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    life.dropped()
    from airflow_mlops_provider.operators import trigger_retrain

    start, tries = trigger_retrain.start_run, []

    def start_and_die_once(*arguments: Any) -> bool:
        tries.append(arguments)
        done = start(*arguments)
        if len(tries) == 1:
            raise OSError("the worker lost its network after the run was started")
        return done

    monkeypatch.setattr(trigger_retrain, "start_run", start_and_die_once)
    outcome = life.ask(retries=1, retry_delay=timedelta(0))
    assert outcome.xcoms["retrain"]["retrain"] is True
    assert len(tries) == 2
    assert [one.run_id for one in runs_of(life.training)] == [outcome.xcoms["retrain"]["trigger_run_id"]]
    assert life.entries() == ["promote", "retrain_requested"]


@pytest.mark.parametrize(
    ("state", "entry", "outcome"),
    [("success", None, "finished"), ("success", "reject", "rejected"), ("failed", None, "failed")],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_waiting_tells_how_the_training_ended(
    life: Life, monkeypatch: pytest.MonkeyPatch, state: str, entry: str | None, outcome: str, deferrable: bool
) -> None:
    life.dropped()
    from airflow_mlops_provider.operators import trigger_retrain

    start, state_of, looks = trigger_retrain.start_run, trigger_retrain.run_state, []

    def start_training(*arguments: Any) -> bool:
        done = start(*arguments)
        if done and entry:
            life.at(lambda model: model.enter(entry, at=NOW))
        return done

    def look(ti: Any, dag_id: str, run_id: str) -> str:
        looks.append(run_id)
        if len(looks) == 2:
            end(life.training, state)
        return state_of(ti, dag_id, run_id)

    monkeypatch.setattr(trigger_retrain, "start_run", start_training)
    if deferrable:
        # The triggerer of dag.test() looks at the run by itself, so it has to have ended.
        monkeypatch.setattr(TriggerRetrainOperator, "_defer", _end_then(life, state, TriggerRetrainOperator._defer))
    else:
        monkeypatch.setattr(trigger_retrain, "run_state", look)
    found = life.ask(wait_for_completion=True, deferrable=deferrable, poke_interval_seconds=0.05)
    assert found.xcoms["retrain"]["outcome"] == outcome
    assert found.xcoms["retrain"]["passed"] is (outcome != "failed")
    if outcome == "failed":
        assert isinstance(found.errors["retrain"], RejectedError)
        assert "asked for again after a pause" in str(found.errors["retrain"])
    assert len(runs_of(life.training)) == 1


@pytest.mark.parametrize("again", ["resumed", "tried again"])
def test_a_task_that_lost_the_race_for_the_request_waits_for_its_run_all_the_same(
    life: Life, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    life.dropped()
    from airflow_mlops_provider.operators import trigger_retrain

    states, start, entered, tries = TriggerRetrainOperator._states, trigger_retrain.start_run, [], []

    def be_slower(operator: TriggerRetrainOperator, context: Any, *rest: Any) -> dict[str, str]:
        if not entered:
            entered.extend(life.at(lambda model: asked(model, op="faster", dag_id=life.training)))
        return states(operator, context, *rest)

    def start_and_die_once(*arguments: Any) -> bool:
        done = start(*arguments)
        tries.append(done)
        if again == "tried again" and len(tries) == 1:
            end(life.training, "failed")
            raise OSError("the worker lost its network after the run was started")
        return done

    monkeypatch.setattr(TriggerRetrainOperator, "_states", be_slower)
    monkeypatch.setattr(TriggerRetrainOperator, "_defer", _end_then(life, "failed", TriggerRetrainOperator._defer))
    monkeypatch.setattr(trigger_retrain, "start_run", start_and_die_once)
    how = {"deferrable": True} if again == "resumed" else {"retries": 1, "retry_delay": timedelta(0)}
    outcome = life.ask(wait_for_completion=True, poke_interval_seconds=0.05, **how)
    assert len(tries) == 2
    found = outcome.xcoms["retrain"]
    assert (found["retrain"], found["outcome"], found["passed"]) == (True, "failed", False)
    assert isinstance(outcome.errors["retrain"], RejectedError)
    [run] = runs_of(life.training)
    assert run.run_id == found["trigger_run_id"] == entered[0].entry.details["run_id"]
    assert life.entries() == ["promote", "retrain_requested"]


def test_a_paused_training_dag_suppresses_and_a_missing_one_fails(life: Life) -> None:
    life.dropped()
    missing = life.ask(trigger_dag_id="no_such_dag").errors["retrain"]
    assert isinstance(missing, InvalidInputError)
    assert "no_such_dag" in str(missing)
    if not hasattr(RuntimeTaskInstance, "get_dag"):
        # Airflow 3.1 tells when the run is to be started, and nothing of pauses; another DAG's request is left alone.
        assert life.entries() == ["promote", "retrain_requested"]
        assert life.ask().xcoms["retrain"]["suppressed_by"] == ["answered", "in_flight", "cooldown"]
        return
    assert life.entries() == ["promote"]
    with DAG(f"paused_{life.name}", schedule=None) as dag:
        Nothing(task_id="nothing")
    paused = publish(dag, paused=True)
    assert life.ask(trigger_dag_id=paused).xcoms["retrain"]["suppressed_by"] == ["target_paused"]
    assert life.entries() == ["promote", "retrain_suppressed"]
    assert runs_of(paused) == []


def test_a_model_without_a_champion_cannot_be_retrained(life: Life) -> None:
    error = life.ask().errors["retrain"]
    assert isinstance(error, InvalidInputError)
    assert "has no champion" in str(error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"now": "2026-03-02T00:00:00"}, "must have a zone"),
        ({"now": "soon"}, "ISO 8601"),
        ({"conf": {"retrain": {}}}, "leave the key 'retrain'"),
        ({"conf": "{"}, "JSON text"),
        ({"conf": ["a"]}, "must be a mapping"),
        ({"conf": {"a": float("nan")}}, "plain JSON"),
        ({"new_rows": "-1"}, "new_rows"),
        ({"new_rows": True}, "new_rows"),
        ({"checks": "abc"}, "list of XComs"),
        ({"checks": [{"verdict": "drift"}]}, "must name its MLflow run"),
        ({"trigger_dag_id": " "}, "must name a DAG"),
        ({"model_name": ""}, "model_name"),
    ],
)
def test_what_templates_gave_is_checked_before_anything_is_done(arguments: dict[str, Any], message: str) -> None:
    from types import SimpleNamespace

    given = {"model_name": "churn", "trigger_dag_id": "training", **arguments}
    operator = TriggerRetrainOperator(task_id="retrain", **given)
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="retrain", map_index=-1)
    with pytest.raises(InvalidInputError, match=message):
        operator.execute({"ti": ti})


def test_arguments_that_contradict_each_other_are_refused_at_parse() -> None:
    given = {"task_id": "retrain", "model_name": "churn", "trigger_dag_id": "training"}
    with pytest.raises(InputError, match="wait_for_completion"):
        TriggerRetrainOperator(**given, deferrable=True)
    with pytest.raises(InputError, match="above 0"):
        TriggerRetrainOperator(**given, poke_interval_seconds=0)
    with pytest.raises(InputError, match="cooldown"):
        TriggerRetrainOperator(**given, policy={"cooldown": timedelta(days=9), "max_age": timedelta(days=8)})


def _outage(*_: Any) -> bool:
    from airflow_mlops_provider.core.errors import OutageError

    raise OutageError("Airflow does not answer")


def _end_then(life: Life, state: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def defer(*arguments: Any) -> None:
        end(life.training, state)
        call(*arguments)

    return defer
