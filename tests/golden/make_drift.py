"""Writes drift.json: what Evidently, NannyML and SciPy say of the same columns. Run once per tool, in its environment.

    python make_drift.py scipy       # scipy
    python make_drift.py evidently   # evidently==0.7.23 "pandas<3"
    python make_drift.py nannyml     # nannyml==0.13.1 statsmodels

The samples come from the standard library alone, so that tests make the very same ones anywhere.
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
from pathlib import Path
from statistics import NormalDist

PATH = Path(__file__).with_name("drift.json")
SIZES = {"small": (400, 300), "large": (3000, 2000)}
NUMERIC = ("continuous", "heavy_tailed", "scaled", "quiet", "discrete", "few", "zero_inflated", "two_values")
CATEGORICAL = ("category", "category_quiet", "category_unseen", "binary")


def samples(size: str) -> dict[str, tuple[list, list]]:
    """Reference and current sample of each column."""
    n, m = SIZES[size]
    draws = {name: random.Random(f"{size} {name}") for name in NUMERIC + CATEGORICAL}
    normal = NormalDist().inv_cdf

    def both(name, make, first, second):
        rng = draws[name]
        return [make(rng, *first) for _ in range(n)], [make(rng, *second) for _ in range(m)]

    def gauss(rng, mean, deviation):
        return mean + deviation * normal(rng.random() or 0.5)

    def lognormal(rng, mean):
        return math.exp(1.5 * gauss(rng, mean, 1.0))

    def counts(rng, rate):
        return float(int(-math.log(1.0 - rng.random()) * rate))

    def pick(rng, values, shares):
        return rng.choices(values, weights=shares)[0]

    def zero_inflated(rng, share, mean):
        return 0.0 if rng.random() < share else gauss(rng, mean, 1.0)

    letters = list("abcdef")
    return {
        "continuous": both("continuous", gauss, (0.0, 1.0), (0.15, 1.0)),
        "heavy_tailed": both("heavy_tailed", lognormal, (0.0,), (0.3,)),
        "scaled": both("scaled", gauss, (5.0, 1.0), (5.0, 1.6)),
        "quiet": both("quiet", gauss, (0.0, 1.0), (0.0, 1.0)),
        "discrete": both("discrete", counts, (4.0,), (5.0,)),
        "few": both("few", pick, ([0.0, 1.0, 2.0], [5, 3, 2]), ([0.0, 1.0, 2.0], [4, 3, 3])),
        "zero_inflated": both("zero_inflated", zero_inflated, (0.6, 2.0), (0.5, 2.0)),
        "two_values": both("two_values", pick, ([0.0, 1.0], [7, 3]), ([0.0, 1.0], [6, 4])),
        "category": both("category", pick, (letters, [30, 25, 20, 15, 9, 1]), (letters, [20, 25, 20, 15, 15, 5])),
        "category_quiet": both(
            "category_quiet", pick, (letters, [30, 25, 20, 15, 9, 1]), (letters, [30, 25, 20, 15, 9, 1])
        ),
        "category_unseen": both("category_unseen", pick, (letters[:3], [5, 3, 2]), ([*letters[:3], "z"], [5, 3, 1, 1])),
        "binary": both("binary", pick, (["no", "yes"], [8, 2]), (["no", "yes"], [7, 3])),
    }


def with_scipy() -> dict:
    """Exact statistics and p-values."""
    import numpy as np
    import scipy
    from scipy import stats
    from scipy.spatial.distance import jensenshannon

    calls = {
        "kolmogorov_smirnov": "ks_2samp(reference, current).statistic",
        "kolmogorov_smirnov_p": "ks_2samp(reference, current).pvalue",
        "wasserstein": "wasserstein_distance(reference, current) / numpy.std(reference)",
        "cramer_von_mises": "cramervonmises_2samp(reference, current).statistic (columns without ties)",
        "cramer_von_mises_p": "cramervonmises_2samp(reference, current).pvalue (columns without ties)",
        "anderson_darling_z": "anderson_ksamp([reference, current], variant='midrank').statistic",
        "jensen_shannon": "scipy.spatial.distance.jensenshannon(shares, shares, base=2)",
        "kullback_leibler": "entropy(reference shares, current shares)",
        "chi2": "chi2_contingency(table, correction=False).statistic",
        "chi2_p": "chi2_contingency(table, correction=False).pvalue",
        "g_test": "chi2_contingency(table, correction=False, lambda_='log-likelihood').statistic",
        "cramers_v": "scipy.stats.contingency.association(table, method='cramer')",
    }
    values: dict = {}
    for size in SIZES:
        values[size] = {}
        for name, (reference, current) in samples(size).items():
            if name in NUMERIC:
                x, y = np.array(reference), np.array(current)
                ks = stats.ks_2samp(x, y)
                found = {
                    "kolmogorov_smirnov": ks.statistic,
                    "kolmogorov_smirnov_p": ks.pvalue,
                    "wasserstein": stats.wasserstein_distance(x, y) / np.std(x),
                    "anderson_darling_z": stats.anderson_ksamp([x, y], variant="midrank").statistic,
                }
                if name in ("continuous", "heavy_tailed", "scaled", "quiet"):
                    cvm = stats.cramervonmises_2samp(x, y, method="asymptotic")
                    found |= {"cramer_von_mises": cvm.statistic, "cramer_von_mises_p": cvm.pvalue}
            else:
                keys = sorted({*reference, *current})
                table = np.array([[one.count(key) for key in keys] for one in (reference, current)])
                p, q = table / table.sum(axis=1, keepdims=True)
                chi2 = stats.chi2_contingency(table, correction=False)
                found = {
                    "jensen_shannon": jensenshannon(p, q, base=2),
                    "chi2": chi2.statistic,
                    "chi2_p": chi2.pvalue,
                    "g_test": stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic,
                    "cramers_v": stats.contingency.association(table, method="cramer"),
                }
                if (p > 0).all():
                    found["kullback_leibler"] = stats.entropy(p, q)
            values[size][name] = {key: float(value) for key, value in found.items()}
    return {"source": f"scipy {scipy.__version__}, numpy {np.__version__}", "calls": calls, "values": values}


def with_evidently() -> dict:
    """Values of its methods, and its default verdicts."""
    os.environ["DO_NOT_TRACK"] = "1"
    import evidently
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.presets import DataDriftPreset

    named = {
        "numeric": ("wasserstein", "ks"),
        "categorical": ("jensenshannon", "psi", "kl_div", "hellinger", "chisquare"),
    }
    definition = DataDefinition(numerical_columns=list(NUMERIC), categorical_columns=list(CATEGORICAL))
    values, verdicts = {}, {}
    for size in SIZES:
        columns = samples(size)
        reference, current = (
            Dataset.from_pandas(pd.DataFrame({name: both[side] for name, both in columns.items()}), definition)
            for side in (0, 1)
        )
        values[size] = {name: {} for name in columns}
        for kind, methods in named.items():
            for name in NUMERIC if kind == "numeric" else CATEGORICAL:
                for method in methods:
                    try:
                        run = Report([ValueDrift(column=name, method=method)]).run(current, reference)
                        values[size][name][method] = float(run.dict()["metrics"][0]["value"])
                    except Exception as error:  # a method that cannot take the column is no value
                        print(size, name, method, error)
        run = Report([DataDriftPreset()], include_tests=True).run(current, reference).dict()
        verdicts[size] = _evidently_verdicts(run)
    return {
        "source": f"evidently {evidently.__version__}, pandas {pd.__version__}",
        "calls": {
            "values": "Report([ValueDrift(column, method)]).run(current, reference).dict()['metrics'][0]['value']",
            "verdicts": "Report([DataDriftPreset()], include_tests=True).run(current, reference): those that FAIL",
        },
        "values": values,
        "verdicts": verdicts,
    }


def _evidently_verdicts(run: dict) -> dict:
    found = {}
    for metric in run["metrics"]:
        config = metric["config"]
        if "column" in config:
            found[config["column"]] = {
                "method": config["method"],
                "threshold": config["threshold"],
                "value": float(metric["value"]),
            }
        else:
            found["data_set"] = {"count": metric["value"]["count"], "share": metric["value"]["share"]}
    for test in run["tests"]:
        column = test["metric_config"]["params"].get("column", "data_set")
        found[column]["drift"] = test["status"] == "FAIL"
    return found


def with_nannyml() -> dict:
    """Values of its methods against a reference of one chunk."""
    import nannyml
    import pandas as pd
    from nannyml.thresholds import ConstantThreshold

    methods = {
        "continuous_methods": ["jensen_shannon", "kolmogorov_smirnov", "wasserstein", "hellinger"],
        "categorical_methods": ["jensen_shannon", "chi2", "l_infinity", "hellinger"],
    }
    values: dict = {}
    for size in SIZES:
        columns = samples(size)
        values[size] = {name: {} for name in columns}
        reference, current = (pd.DataFrame({name: both[side] for name, both in columns.items()}) for side in (0, 1))
        for frame in (reference, current):
            for name in CATEGORICAL:
                frame[name] = frame[name].astype("category")
        calculator = nannyml.UnivariateDriftCalculator(
            column_names=list(columns),
            chunk_number=1,
            thresholds={"jensen_shannon": ConstantThreshold(upper=0.1)},
            **methods,
        )
        result = calculator.fit(reference).calculate(current)
        frame = result.filter(period="analysis").to_df()
        for name in columns:
            for method in frame[name].columns.get_level_values(0).unique():
                one = frame[name][method]
                values[size][name][method] = float(one["value"].iloc[0])
                if method == "jensen_shannon":
                    values[size][name]["jensen_shannon_alert"] = bool(one["alert"].iloc[0])
    call = (
        "UnivariateDriftCalculator(columns, chunk_number=1, thresholds={'jensen_shannon': ConstantThreshold(upper=0.1)}"
    )
    return {
        "source": f"nannyml {nannyml.__version__}, pandas {pd.__version__}",
        "calls": {"values": f"{call}).fit(reference).calculate(current)"},
        "values": values,
    }


if __name__ == "__main__":
    tool = sys.argv[1]
    known = json.loads(PATH.read_text()) if PATH.exists() else {}
    known[tool] = {"scipy": with_scipy, "evidently": with_evidently, "nannyml": with_nannyml}[tool]()
    PATH.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
