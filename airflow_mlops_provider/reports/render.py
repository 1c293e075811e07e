"""Renders the package's HTML reports; a report is one file that loads nothing and runs nothing when it is opened.

Whatever comes from users or data (names of columns, files, models) is escaped by the environment, so no template may
mark a value safe except figures drawn by this package.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider import __version__

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """Return a report as HTML.

    Parameters
    ----------
    template : str
        File in ``reports/templates``, extending ``base.html.j2``.
    **values
        What the template shows; a name it uses and does not get is an error.
    """
    return _environment().get_template(template).render(package_version=__version__, **values)


def percent(share: float | None) -> str:
    """Write a share in [0, 1] as per cent.

    Examples
    --------
    >>> percent(0.01234), percent(None)
    ('1.23 %', '–')
    """
    return "–" if share is None else f"{share * 100:.3g} %"


def number(value: float | None) -> str:
    """Write a number so that people can read it.

    Examples
    --------
    >>> number(7043), number(64.7616924), number(None)
    ('7,043', '64.76', '–')
    """
    if value is None:
        return "–"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("airflow_mlops_provider", "reports/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, number=number)
    return environment
