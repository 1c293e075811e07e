"""Two versions are compared by what each of their numbers means, which only their own records tell."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_mlops_provider.operators.shadow_rows import Outputs, read_outputs

SCORES = ("rank_correlation", "mean_shift", "score_distance")
TRUTH = ["a", "b", "b", "a"]


def evidence(*classes: Any) -> Any:
    task = {0: "regression", 2: "binary", 3: "multiclass"}[len(classes)]
    return SimpleNamespace(task=task, classes=list(classes), target="kind")


def frame(probabilities: np.ndarray, its: Any) -> pd.DataFrame:
    """The output of a version, from the probabilities of its classes."""
    several = {f"probability_{one}": probabilities[:, i] for i, one in enumerate(its.classes)}
    return pd.DataFrame(
        {
            "id": range(len(probabilities)),
            "prediction": [its.classes[i] for i in probabilities.argmax(axis=1)],
            "probability": probabilities[:, 1] if its.task == "binary" else probabilities.max(axis=1),
            **(several if its.task == "multiclass" else {}),
        }
    )


def compare(folder: Path, sides: list[tuple[pd.DataFrame, Any]], *, labels: bool = True) -> Outputs:
    for name, (table, _) in zip(("champion", "shadow"), sides, strict=True):
        table.to_parquet(folder / f"{name}.parquet")
    pd.DataFrame({"id": range(4), "kind": TRUTH}).to_parquet(folder / "labels.parquet")
    return read_outputs(
        champion=str(folder / "champion.parquet"),
        shadow=str(folder / "shadow.parquet"),
        keys=["id"],
        evidence=sides[0][1],
        shadow_evidence=sides[1][1],
        labels=str(folder / "labels.parquet") if labels else None,
    )


TWO = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
THREE = np.array([[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.1, 0.3, 0.6], [0.5, 0.3, 0.2]])


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_versions_of_different_classes_agree_or_not_and_nothing_else_is_said_of_them(
    tmp_path: Path, labels: bool, turned: bool
) -> None:
    two, three = evidence("a", "b"), evidence("a", "b", "c")
    sides = [(frame(TWO, two), two), (frame(THREE, three), three)]
    found = compare(tmp_path, sides[::-1] if turned else sides, labels=labels)
    assert found.agreement.agreement == 0.75
    assert [getattr(found.agreement, name) for name in SCORES] == [None] * 3
    assert found.labelled is None
    assert "knows the classes" in found.reason


def test_probabilities_of_several_classes_are_each_of_its_own_class_and_not_compared_as_one(tmp_path: Path) -> None:
    its = evidence("a", "b", "c")
    found = compare(tmp_path, [(frame(THREE, its), its), (frame(THREE[:, [1, 0, 2]], its), its)])
    assert found.agreement.agreement == 0.25
    assert [getattr(found.agreement, name) for name in SCORES] == [None] * 3
    assert found.labelled is not None
    assert found.labelled[1].class_scores().tolist() == THREE[:, [1, 0, 2]].tolist()


def test_a_shadow_whose_positive_class_is_the_other_one_is_read_as_what_it_says(tmp_path: Path) -> None:
    ours, theirs = evidence("a", "b"), evidence("b", "a")
    found = compare(tmp_path, [(frame(TWO, ours), ours), (frame(TWO[:, ::-1], theirs), theirs)])
    assert found.agreement.to_dict() == {
        "rows": 4, "agreement": 1.0, "rank_correlation": pytest.approx(1), "mean_shift": pytest.approx(0, abs=1e-12),
        "score_distance": pytest.approx(0, abs=1e-12),
    }  # fmt: skip
    assert found.labelled is not None
    np.testing.assert_allclose(found.labelled[1].class_scores(), TWO)
    assert found.labelled[1].predicted.tolist() == [0, 1, 1, 0]


def test_classes_of_other_types_and_other_tasks_are_not_taken_for_the_same(tmp_path: Path) -> None:
    numbers, texts, none = evidence(0, 1), evidence("0", "1"), evidence()
    found = compare(tmp_path, [(frame(TWO, numbers), numbers), (frame(TWO, texts), texts)])
    assert (found.agreement.agreement, found.labelled) == (0.0, None)
    value = pd.DataFrame({"id": range(4), "prediction": [0.5, 1.5, 2.5, 3.5]})
    found = compare(tmp_path, [(value, none), (frame(TWO, texts), texts)])
    assert set(found.agreement.to_dict().values()) == {4, None}
    assert "the champion's task is regression, the shadow's binary" in found.reason
