"""The report of a backtest: what each policy for retraining cost and gave, as a table and a picture over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.reports.embed import data_uri
from airflow_mlops_provider.reports.figures import short, style, to_svg
from airflow_mlops_provider.reports.render import render

if TYPE_CHECKING:
    from airflow_mlops_provider.core.backtest import Replay

# Told apart also by people who do not see all colours, and by their lines (Okabe and Ito, 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5f6c7b")
LINES = ("-", "--", "-.", ":")


def backtest_report(replays: Sequence[Replay], *, metric: str, policies: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    replays : sequence of Replay
        One for each policy, over the same windows.
    metric : str
        Whose value they hold.
    policies : mapping of str to mapping or None
        Settings of each.
    """
    shown = {
        name: "never retrains" if one is None else ", ".join(f"{key}={value}" for key, value in one.items())
        for name, one in policies.items()
    }
    return render(
        "backtest.html.j2",
        replays=replays,
        metric=metric,
        days=sum(replays[0].days),
        picture=data_uri(replay_figure(replays, metric=metric)),
        policies=shown,
    )


def replay_figure(replays: Sequence[Replay], *, metric: str) -> str:
    """Draw the metric over time for each policy, and below when each retrained and was degraded, as SVG."""
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9.6, 3.4 + 0.34 * len(replays)), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.0, 0.34 * len(replays) + 0.3])
        for place, one in enumerate(replays):
            colour = COLOURS[place % len(COLOURS)]
            ends = [step.window_end for step in one.steps]
            values = [step.score.value for step in one.steps]
            name = short(one.name)
            above.plot(ends, values, LINES[place % len(LINES)], color=colour, marker=".", label=name, linewidth=1.6)
            bad = [step.window_end for step in one.steps if step.score.degraded]
            asked = [step.window_end for step in one.steps if step.retrained]
            below.scatter(bad, [place] * len(bad), marker="s", s=90, color="#f2b8b5", linewidths=0)
            below.scatter(asked, [place] * len(asked), marker="^", s=42, color=colour, linewidths=0)
        above.set_ylabel(metric)
        above.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        below.set_yticks(range(len(replays)), [short(one.name) for one in replays])
        below.set_ylim(len(replays) - 0.4, -0.6)
        below.tick_params(axis="x", rotation=30)
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
        return to_svg(figure)
