"""The customers of the shipped table in a changed world: who has fibre leaves where they stayed, and the reverse."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def write_changed(telco: Path, path: Path) -> Path:
    customers = pd.read_csv(telco)
    fibre = customers["internet_service"] == "Fiber optic"
    customers.loc[fibre, "churn"] = customers.loc[fibre, "churn"].map({"Yes": "No", "No": "Yes"})
    customers.to_csv(path, index=False)
    return path
