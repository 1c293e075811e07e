"""A year of a churn model's life, put together from real customers: what happens in each month is written down here.

Every month has customers of its own, so that no model is judged on rows it was trained on, and no value is invented:
a month differs from the table only in which of its customers are drawn how often. The order of customers, and so which
of them live in which month, comes from a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from numpy.random import Generator

MONTHS = 12
# Customers of the first training; the others are dealt out to the months.
BEFORE = 2_400
TARGET = "churn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One month's customers.

    Parameters
    ----------
    number : int
        From 1; 0 is the time before, of the first training.
    happens : str
        What the script says of it.
    rows : pandas.DataFrame
        With the target.
    labelled : bool
        Whether anybody told in time who left.
    """

    number: int
    happens: str
    rows: pd.DataFrame
    labelled: bool = True


def scripted_year(customers: pd.DataFrame, *, rng: Generator) -> list[Month]:
    """Return the time before and twelve months.

    Parameters
    ----------
    customers : pandas.DataFrame
        The Telco table.
    rng : numpy.random.Generator
        Decides who lives when.
    """
    import numpy as np

    order = rng.permutation(len(customers))
    year = [Month(number=0, happens="the first training", rows=customers.iloc[order[:BEFORE]])]
    for number, places in enumerate(np.array_split(order[BEFORE:], MONTHS), start=1):
        pool = customers.iloc[places]
        happens, weigh = _script(number)
        weights = weigh(pool)
        drawn = rng.choice(len(pool), len(pool), p=weights / weights.sum())
        year.append(Month(number=number, happens=happens, rows=pool.iloc[drawn], labelled=number != OUTAGE))
    return year


HARMLESS, SHIFT, OUTAGE, SLOW = 3, 5, 7, range(8, 12)


def _script(number: int) -> tuple[str, Callable[[pd.DataFrame], pd.Series]]:
    """Return what happens in a month, and how its customers are weighed."""
    slow = min(1.0, max(0, number - SLOW.start + 1) / len(SLOW))
    if number < SHIFT:
        harmless = number == HARMLESS
        return ("drift that does not hurt" if harmless else "quiet"), (_protected_devices if harmless else _as_they_are)

    def weigh(pool: pd.DataFrame) -> pd.Series:
        return _fibre_becomes_good(pool) * _old_customers_leave(pool, slow)

    words = {SHIFT: "sudden shift", OUTAGE: "no labels"} | dict.fromkeys(SLOW, "slow drift")
    return words.get(number, "quiet"), weigh


def _as_they_are(pool: pd.DataFrame) -> pd.Series:
    import pandas as pd

    return pd.Series(1.0, index=pool.index)


def _protected_devices(pool: pd.DataFrame) -> pd.Series:
    """Draw many more customers with device protection, whom the model tells apart as well as all others."""
    return _as_they_are(pool).mask(pool["device_protection"] == "Yes", 5.0)


def _fibre_becomes_good(pool: pd.DataFrame) -> pd.Series:
    """Let DSL drive customers away instead of fibre: what the model learned of them is wrong now."""
    fibre, dsl, left = (
        pool["internet_service"] == "Fiber optic",
        pool["internet_service"] == "DSL",
        pool[TARGET] == "Yes",
    )
    weights = _as_they_are(pool).mask(fibre & left, 0.25).mask(fibre & ~left, 1.8)
    return weights.mask(dsl & left, 4.0).mask(dsl & ~left, 0.6)


def _old_customers_leave(pool: pd.DataFrame, share: float) -> pd.Series:
    """Let, bit by bit, the old customers leave and the new ones stay."""
    old, left = pool["tenure"] > 30, pool[TARGET] == "Yes"
    weights = _as_they_are(pool).mask(old & left, 1 + 4 * share).mask(old & ~left, 1 - 0.5 * share)
    return weights.mask(~old & left, 1 - 0.75 * share).mask(~old & ~left, 1 + 0.5 * share)
