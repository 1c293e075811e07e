"""How often each corruption of real customers is caught by the check that should, and how often clean windows are.

Training rows and windows are disjoint random parts of the Telco table. Written to ``benchmarks/results/skew.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa

from airflow_mlops_provider.core.profile import DatasetProfile
from airflow_mlops_provider.core.profiler import profile_table
from airflow_mlops_provider.core.skew import check_skew
from airflow_mlops_provider.core.skew_policy import SkewReport
from tests.unit.core.test_skew import CATALOGUE

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "skew.md"
# With 100 rows a column with a missing value has fewer than the 100 values that shares need.
SIZES = (100, 300, 1_000)
WINDOWS = 100
# Two columns of one distribution look alike column by column, whatever the sample.
BEYOND = {"texts of one distribution swapped": ("online_security", "tech_support")}


def check(training: DatasetProfile, rows: pd.DataFrame) -> SkewReport:
    """Check one window."""
    serving = profile_table(pa.Table.from_pandas(rows, preserve_index=False), grids=training.grids)
    return check_skew(training, serving, features=list(training.names))


def main() -> bool:
    """Write the table; return whether every rate is as it should be."""
    customers = pd.read_csv(ROOT / "dags" / "data" / "telco_churn.csv").drop(columns="churn")
    known = customers.sample(5_000, random_state=0)
    rest = customers.drop(known.index)
    training = profile_table(pa.Table.from_pandas(known, preserve_index=False))
    lines = [
        f"| what | caught by | {' | '.join(f'{size} rows' for size in SIZES)} |",
        f"|---|---|{'---:|' * len(SIZES)}",
    ]
    passed = True
    for name, (change, feature, wanted) in CATALOGUE.items():
        rates = []
        for size in SIZES:
            reports = [check(training, change(rest.sample(size, random_state=seed))) for seed in range(WINDOWS)]
            rates.append(sum(feature in one.found(wanted) and not one.passed for one in reports) / WINDOWS)
        passed &= min(rates[1:]) == 1.0
        lines.append(f"| {name} | `{wanted}` | {' | '.join(f'{rate:.1%}' for rate in rates)} |")
    for name, (first, second) in BEYOND.items():
        swapped = rest.rename(columns={first: second, second: first})
        rates = [
            sum(not check(training, swapped.sample(size, random_state=seed)).passed for seed in range(WINDOWS))
            / WINDOWS
            for size in SIZES
        ]
        lines.append(f"| {name} (not to be seen by columns) | – | {' | '.join(f'{rate:.1%}' for rate in rates)} |")
    clean = [
        sum(not check(training, rest.sample(size, random_state=seed)).passed for seed in range(WINDOWS)) / WINDOWS
        for size in SIZES
    ]
    passed &= max(clean) <= 0.01
    lines.append(f"| **nothing: false alarms** | any | {' | '.join(f'{rate:.1%}' for rate in clean)} |")
    text = "\n".join(lines)
    print(f"skew: {WINDOWS} windows of each size\n{text}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(f"# Skew: share of {WINDOWS} windows\n\n{text}\n")
    return passed


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
