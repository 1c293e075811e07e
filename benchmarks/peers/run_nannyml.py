"""Drift of all columns by NannyML: Kolmogorov-Smirnov and chi-square, the current data as one chunk."""

import json
import resource
import sys
import time

import nannyml
import pandas as pd

began = time.perf_counter()
reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
calculator = nannyml.UnivariateDriftCalculator(
    column_names=list(reference.columns),
    continuous_methods=["kolmogorov_smirnov"],
    categorical_methods=["chi2"],
    chunk_number=1,
)
calculator.fit(reference)
calculator.calculate(current).to_df()
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}))
