from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from airflow_mlops_provider.core import expected
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.expected import Cells, Scored, estimable, metrics_of
from airflow_mlops_provider.core.performance import evaluate
from airflow_mlops_provider.core.predictions import Predictions

RNG = np.random.default_rng(11)
P = RNG.random(60).round(1)
BINARY = {
    "labels": ("no", "yes"),
    "predicted": (P > 0.4).astype(int),
    "probabilities": np.column_stack([1 - P, P]),
}
Q = RNG.dirichlet([1.0, 2.0, 0.5], 80)
SEVERAL = {"labels": ("a", "b", "c"), "predicted": Q.argmax(axis=1), "probabilities": Q}


def known(given: dict, *, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    drawn = (given["probabilities"].cumsum(axis=1) > rng.random((len(given["predicted"]), 1))).argmax(axis=1)
    return Predictions(task="binary" if len(given["labels"]) == 2 else "multiclass", y_true=drawn, **given)


@pytest.mark.parametrize("given", [BINARY, SEVERAL])
def test_with_known_truth_they_are_the_realised_metrics(given: dict) -> None:
    rows = known(given)
    cells = Cells.of(rows)
    shares = cells.true / cells.rows[:, None]
    names = estimable(rows.task)
    found = metrics_of(cells, rows=cells.rows, shares=shares, names=names, is_certain=True)
    realised = evaluate(rows, metrics=names)
    assert found == pytest.approx({name: realised[name].value for name in names})


def test_ranking_metrics_of_known_truth_are_scikit_learns() -> None:
    rows = known(BINARY)
    cells = Cells.of(rows)
    found = metrics_of(
        cells,
        rows=cells.rows,
        shares=cells.true / cells.rows[:, None],
        names=["roc_auc", "average_precision", "brier_score"],
        is_certain=True,
    )
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(rows.y_true, P))
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(rows.y_true, P))
    assert found["brier_score"] == pytest.approx(sk.brier_score_loss(rows.y_true, P))


@pytest.mark.parametrize("given", [BINARY, SEVERAL])
def test_expected_values_are_the_mean_over_drawn_labels(given: dict) -> None:
    rows = Scored(**given)
    cells = Cells.of(rows)
    names = estimable(rows.task)
    found = metrics_of(cells, rows=cells.rows, shares=cells.scores, names=names, is_certain=False)
    draws = []
    for seed in range(400):
        drawn = Cells.of(known(given, seed=seed))
        draws.append(
            metrics_of(drawn, rows=drawn.rows, shares=drawn.true / drawn.rows[:, None], names=names, is_certain=True)
        )
    for name in names:
        values = np.array([draw[name] for draw in draws])
        # Ratios of expectations are off by about 1 / n; all else is exact.
        assert found[name] == pytest.approx(values.mean(), abs=4 * values.std() / 20 + 0.003), name


def test_no_row_is_a_pair_with_itself() -> None:
    # Two rows of one score: whichever is positive, the area is one half, and a precision one half.
    rows = Scored(labels=("no", "yes"), predicted=[0, 0], probabilities=[[0.5, 0.5], [0.5, 0.5]])
    cells = Cells.of(rows)
    found = metrics_of(cells, rows=cells.rows, shares=cells.scores, names=["roc_auc"], is_certain=False)
    assert found["roc_auc"] == pytest.approx(0.5)
    apart = Scored(labels=("no", "yes"), predicted=[0, 0], probabilities=[[0.6, 0.4], [0.4, 0.6]])
    cells = Cells.of(apart)
    found = metrics_of(cells, rows=cells.rows, shares=cells.scores, names=["roc_auc"], is_certain=False)
    # Pairs of one positive and one negative row: 0.6 * 0.6 in the right order, 0.4 * 0.4 in the wrong one.
    assert found["roc_auc"] == pytest.approx(0.36 / 0.52)


def test_a_positive_row_counts_itself_whole_in_its_own_precision() -> None:
    apart = Scored(labels=("no", "yes"), predicted=[0, 0], probabilities=[[0.6, 0.4], [0.4, 0.6]])
    cells = Cells.of(apart)
    found = metrics_of(cells, rows=cells.rows, shares=cells.scores, names=["average_precision"], is_certain=False)
    # 0.6 times the precision 1 of the first rank, 0.4 times that of the second, (1 + 0.6) / 2; one positive expected.
    assert found["average_precision"] == pytest.approx(0.6 + 0.4 * 0.8)


def test_rows_that_look_alike_are_counted_together() -> None:
    cells = Cells.of(known(BINARY))
    assert len(cells.rows) <= 11
    assert cells.rows.sum() == 60
    assert (cells.true.sum(axis=1) == cells.rows).all()


def test_very_many_scores_share_cells_and_areas_hardly_move(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(2).beta(0.5, 2, 20_000)
    rows = Scored(
        labels=("no", "yes"),
        predicted=(scores > 0.5).astype(int),
        probabilities=np.column_stack([1 - scores, scores]),
    )
    found = []
    for most in (100_000, 2_000):
        monkeypatch.setattr(expected, "MAX_CELLS", most)
        cells = Cells.of(rows)
        assert len(cells.rows) <= most + 1
        found.append(
            metrics_of(cells, rows=cells.rows, shares=cells.scores, names=estimable("binary"), is_certain=False)
        )
    # Average precision is a sum of steps, of which there are fewer now.
    assert found[1].pop("average_precision") == pytest.approx(found[0].pop("average_precision"), abs=1e-3)
    assert found[1] == pytest.approx(found[0], abs=1e-5)


def test_what_nothing_defines_is_not_a_number() -> None:
    rows = Scored(labels=("no", "yes"), predicted=[0, 0], probabilities=[[1.0, 0.0], [1.0, 0.0]])
    cells = Cells.of(rows)
    found = metrics_of(
        cells,
        rows=cells.rows,
        shares=cells.scores,
        names=["roc_auc", "average_precision", "recall", "accuracy"],
        is_certain=False,
    )
    assert np.isnan([found["roc_auc"], found["average_precision"], found["recall"]]).all()
    assert found["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": [[0.2, 0.8], [0.5, 1.5]]}, r"in \[0, 1\]"),
        ({"probabilities": [[0.2, 0.8], [np.nan, 0.5]]}, "finite"),
        ({"predicted": [0, 2]}, "codes from 0 to 1"),
        ({"predicted": []}, "at least one row"),
    ],
)
def test_impossible_rows_are_refused(change: dict, message: str) -> None:
    given = {"labels": ("no", "yes"), "predicted": [0, 1], "probabilities": [[0.8, 0.2], [0.1, 0.9]]}
    with pytest.raises(InputError, match=message):
        Scored(**{**given, **change})
