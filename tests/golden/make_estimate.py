"""Writes estimate.json: what NannyML's CBPE estimates on the same scores. Run in an environment of its own.

    python make_estimate.py    # nannyml==0.13.1 statsmodels

The synthetic scores come from the standard library alone, so that tests make the very same ones anywhere; those of the
churn table come from a fitted model and are stored.
"""

from __future__ import annotations

import json
import math
import os
import random
from pathlib import Path
from statistics import NormalDist

PATH = Path(__file__).with_name("estimate.json")
TELCO = Path(__file__).resolve().parents[2] / "dags" / "data" / "telco_churn.csv"
METRICS = ["roc_auc", "average_precision", "accuracy", "precision", "recall", "f1"]
# Mean of the latent score; the model of "overconfident" says 1.7 times the true log-odds.
CHUNKS = {"quiet": -1.0, "harder": -0.2, "easier": -2.0}
SLOPES = {"calibrated": 1.0, "overconfident": 1.7}
ROWS = {"reference": 1500, "chunk": 1000}


def synthetic(name: str) -> dict[str, tuple[list[float], list[int]]]:
    """Scores and labels of the reference and of each chunk."""
    rng = random.Random(f"estimate {name}")
    normal = NormalDist().inv_cdf

    def rows(count: int, mean: float) -> tuple[list[float], list[int]]:
        odds = [mean + 1.5 * normal(rng.random() or 0.5) for _ in range(count)]
        labels = [int(rng.random() < 1 / (1 + math.exp(-one))) for one in odds]
        return [round(1 / (1 + math.exp(-SLOPES[name] * one)), 6) for one in odds], labels

    chunks = {chunk: rows(ROWS["chunk"], mean) for chunk, mean in CHUNKS.items()}
    return {"reference": rows(ROWS["reference"], -1.0), **chunks}


def telco() -> dict[str, tuple[list[float], list[int]]]:
    """The same of a model of the churn table, which learned from a third of it; chunks are resampled by tenure."""
    import numpy as np
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = pd.read_csv(TELCO).sample(frac=1.0, random_state=7, ignore_index=True)
    labels = (table["churn"] == "Yes").astype(int).to_numpy()
    features = pd.get_dummies(table.drop(columns="churn"), dtype=float)
    third = len(table) // 3
    model = HistGradientBoostingClassifier(max_iter=80, random_state=0).fit(features[:third], labels[:third])
    scores = model.predict_proba(features)[:, 1].round(6)
    tenure = table["tenure"].to_numpy() / 72
    rest = np.arange(2 * third, len(table))
    rng = np.random.default_rng(0)
    found = {"reference": (scores[third : 2 * third].tolist(), labels[third : 2 * third].tolist())}
    for chunk, slope in {"quiet": 0.0, "new customers": -4.0, "old customers": 4.0}.items():
        weights = np.exp(slope * tenure[rest])
        taken = rng.choice(rest, 1000, replace=False, p=weights / weights.sum())
        found[chunk] = (scores[taken].tolist(), labels[taken].tolist())
    return found


def with_nannyml(data: dict[str, tuple[list[float], list[int]]]) -> dict:
    """Its estimates and the realised values of each chunk, at the threshold 0.5."""
    import nannyml
    import pandas as pd

    def frame(name: str) -> pd.DataFrame:
        scores, labels = data[name]
        return pd.DataFrame({"score": scores, "predicted": [int(one > 0.5) for one in scores], "true": labels})

    found = {}
    for chunk in [name for name in data if name != "reference"]:
        estimator = nannyml.CBPE(
            metrics=METRICS,
            y_pred_proba="score",
            y_pred="predicted",
            y_true="true",
            problem_type="classification_binary",
            chunk_number=1,
        ).fit(frame("reference"))
        result = estimator.estimate(frame(chunk)).filter(period="analysis").to_df()
        found[chunk] = {
            metric: {key: float(result[metric][key].iloc[0]) for key in ("value", "realized")} for metric in METRICS
        }
    return {"calibrates": bool(estimator.needs_calibration), "chunks": found}


if __name__ == "__main__":
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    import nannyml
    import pandas as pd
    import sklearn

    churn = telco()
    golden = {
        "source": f"nannyml {nannyml.__version__}, scikit-learn {sklearn.__version__}, pandas {pd.__version__}",
        "call": "CBPE(metrics, y_pred_proba, y_pred, y_true, problem_type='classification_binary', chunk_number=1)"
        ".fit(reference).estimate(chunk)",
        "values": {**{name: with_nannyml(synthetic(name)) for name in SLOPES}, "telco": with_nannyml(churn)},
        "telco": {
            name: {"scores": " ".join(f"{one:.6g}" for one in scores), "labels": "".join(map(str, labels))}
            for name, (scores, labels) in churn.items()
        },
    }
    PATH.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
