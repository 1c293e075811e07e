"""Drift of all columns by plain pandas and SciPy: two-sample Kolmogorov-Smirnov, and chi-square over categories."""

import json
import resource
import sys
import time

import numpy as np
import pandas as pd
from scipy import stats

began = time.perf_counter()
reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
for name in reference.columns:
    first, second = reference[name], current[name]
    if pd.api.types.is_numeric_dtype(first):
        stats.ks_2samp(first.dropna(), second.dropna(), method="asymp")
    else:
        counts = pd.concat([first.value_counts(), second.value_counts()], axis=1).fillna(0)
        stats.chi2_contingency(np.asarray(counts).T)
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}))
