from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
from sklearn.metrics import roc_auc_score

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gating import decide, resolve_gates
from airflow_mlops_provider.core.row_hash import hash_rows
from airflow_mlops_provider.core.specs import Fingerprint, TrainSettings, candidates_of
from airflow_mlops_provider.operators.comparison import Contender, compare_on
from airflow_mlops_provider.operators.tracking import evidence_of
from airflow_mlops_provider.training.train import train

FINGERPRINT = Fingerprint(uri="file:///x.csv", sha256="ab" * 32, size_bytes=1, rows=1, modified_at=None)
LINEAR = "sklearn.linear_model.LogisticRegression"
STUMP = {"estimator": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 1}}


@pytest.fixture(scope="module")
def customers(telco: Path) -> pa.Table:
    return pyarrow.csv.read_csv(telco).slice(0, 4000)


def contender(table: pa.Table, estimator: object, *, label: str = "challenger", target: str = "churn", **settings):
    chosen = TrainSettings(**{"folds": 0} | settings)
    trained = train(table, target=target, candidates=candidates_of(estimator), settings=chosen, log=lambda _: None)
    evidence = evidence_of(trained, settings=chosen, fingerprint=FINGERPRINT, dag_folder=Path("/nowhere"))
    # As it comes back from MLflow.
    record = json.loads(json.dumps(evidence.to_dict()))
    evidence = type(evidence)(**{key: value for key, value in record.items() if key != "schema"})
    return Contender(
        label=label, model=trained.model, evidence=evidence, training_rows=trained.prepared.training_rows, size_bytes=9
    )


def compared(table: pa.Table, challenger: Contender, champion: Contender | None = None):
    return compare_on(table, challenger=challenger, champion=champion, confidence=0.95, seed=0)


@pytest.fixture(scope="module")
def linear(customers: pa.Table) -> Contender:
    return contender(customers, LINEAR)


@pytest.fixture(scope="module")
def stump(customers: pa.Table) -> Contender:
    return contender(customers.slice(0, 3000), STUMP, label="champion")


def seen_by(one: Contender, table: pa.Table) -> np.ndarray:
    return one.training_rows.contains(hash_rows(table, columns=one.evidence.identity_columns))


def test_both_are_judged_on_the_rows_that_neither_was_trained_on_and_the_rest_is_counted(
    customers: pa.Table, linear: Contender, stump: Contender
) -> None:
    result = compared(customers, linear, stump)
    unseen = ~(seen_by(linear, customers) | seen_by(stump, customers))
    assert result.rows == unseen.sum()
    assert result.evidence.rows_left_out == customers.num_rows - unseen.sum()
    # Grown data keep every row on its side: what the champion held out, the challenger held out too.
    assert unseen.sum() > 0.17 * customers.num_rows
    assert len(result.evidence.champion.y_true) == result.rows
    np.testing.assert_array_equal(result.evidence.champion.y_true, result.evidence.challenger.y_true)


def test_the_metrics_are_scikit_learns_on_those_rows(customers: pa.Table, linear: Contender) -> None:
    from airflow_mlops_provider.training.columns import to_frame

    kept = customers.filter(~seen_by(linear, customers))
    scores = linear.model.predict_proba(to_frame(kept, kinds=linear.evidence.kinds))[:, 1]
    truth = pc.equal(kept["churn"], "Yes").to_numpy()
    result = compared(customers, linear)
    assert result.challenger["roc_auc"].value == pytest.approx(roc_auc_score(truth, scores))
    assert result.champion is None
    assert result.baseline["roc_auc"].value == 0.5


def test_the_better_one_is_found(customers: pa.Table, linear: Contender, stump: Contender) -> None:
    gates = resolve_gates(["better_than_champion", "same_signature", "beats_baseline"])
    assert decide(compared(customers, linear, stump).evidence, gates).verdict == "blessed"
    assert decide(compared(customers, stump, linear).evidence, gates).verdict == "not_blessed"


def test_everything_is_plain_json(customers: pa.Table, linear: Contender, stump: Contender) -> None:
    result = compared(customers, linear, stump)
    for value in (result.to_dict(), result.flat_metrics()):
        assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert result.flat_metrics()["champion_roc_auc"] < result.flat_metrics()["challenger_roc_auc"]
    assert result.flat_metrics()["rows_judged"] == result.rows
    assert result.to_dict()["latency"]["row_milliseconds"] > 0


def test_newer_rows_are_judged_whole(customers: pa.Table) -> None:
    one = contender(customers.slice(0, 2000), LINEAR)
    result = compared(customers.slice(2000), one)
    # Rows equal to a training row count as seen; the table holds a few.
    assert result.evidence.rows_left_out < 60


def test_when_every_row_was_seen_nothing_can_be_judged(customers: pa.Table, linear: Contender) -> None:
    seen = customers.filter(seen_by(linear, customers))
    with pytest.raises(InputError, match=f"All {seen.num_rows} rows were seen in training"):
        compared(seen, linear)


def test_too_few_rows_are_for_the_gates_to_refuse(customers: pa.Table, linear: Contender, stump: Contender) -> None:
    unseen = customers.filter(~(seen_by(linear, customers) | seen_by(stump, customers)))
    few = pa.concat_tables([unseen.filter(pc.equal(unseen["churn"], "No")).slice(0, 3)])
    result = compared(few, linear, stump)
    assert result.rows == 3
    assert "accuracy" in result.challenger
    assert "roc_auc" not in result.challenger
    verdict = decide(result.evidence, resolve_gates())
    assert verdict.verdict == "not_blessed"
    assert "3 rows judged, 30 required; rows by class {'No': 3, 'Yes': 0}" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["churn"]), "The data lack the target 'churn' of challenger"),
        (lambda table: table.drop_columns(["tenure"]), r"The data lack \['tenure'\], which tell whether challenger"),
        (
            lambda table: table.set_column(0, "churn", pa.array([None] * table.num_rows, pa.string())),
            r"'churn' is null in \d+ of \d+ rows",
        ),
        (
            lambda table: table.set_column(0, "churn", pc.replace_substring(table["churn"], "Yes", "Gone")),
            r"classes the model was not trained on: \['Gone'\]; it knows \['No', 'Yes'\]",
        ),
    ],
)
def test_rows_that_cannot_be_judged_are_refused(
    customers: pa.Table, linear: Contender, change: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        compared(change(customers), linear)


def test_models_of_different_questions_are_not_compared(customers: pa.Table, linear: Contender) -> None:
    other = contender(customers, LINEAR, target="contract", label="champion")
    with pytest.raises(InputError, match="challenger has task 'binary', the champion 'multiclass'"):
        compared(customers, linear, other)
    turned = contender(customers, LINEAR, positive_class="No", label="champion")
    with pytest.raises(InputError, match=r"challenger has classes \['No', 'Yes'\], the champion \['Yes', 'No'\]"):
        compared(customers, linear, turned)


def test_a_model_without_probabilities_is_compared_by_what_both_give(customers: pa.Table, linear: Contender) -> None:
    svm = contender(customers, "sklearn.svm.LinearSVC")
    result = compared(customers, svm, linear)
    gates = resolve_gates(["beats_baseline", "no_worse_than_champion", "max_calibration_error"])
    verdict = decide(result.evidence, gates)
    assert [one.passed for one in verdict.results] == [True, True, False]
    assert "no class probabilities" in verdict.results[2].message


def test_columns_of_other_types_and_new_columns_do_not_matter(customers: pa.Table, linear: Contender) -> None:
    changed = customers.set_column(
        customers.column_names.index("tenure"), "tenure", customers["tenure"].cast(pa.float32())
    )
    changed = changed.set_column(0, "churn", customers["churn"].dictionary_encode()).append_column(
        "new", pa.array(range(customers.num_rows))
    )
    before, after = compared(customers, linear), compared(changed.select(changed.column_names[::-1]), linear)
    assert after.rows == before.rows
    assert after.challenger == before.challenger


def test_a_regression_is_compared_by_its_errors() -> None:
    from sklearn.datasets import load_diabetes

    table = pa.Table.from_pandas(load_diabetes(as_frame=True).frame, preserve_index=False)
    ridge = contender(table, "sklearn.linear_model.Ridge", target="target")
    tree = contender(table, "sklearn.tree.DecisionTreeRegressor", target="target", label="champion")
    result = compared(table, ridge, tree)
    assert result.metric == "rmse"
    assert decide(result.evidence, resolve_gates(["better_than_champion"])).verdict == "blessed"
