"""Puts figures into reports as images, which browsers never run as code, whatever a column name in them says."""

from __future__ import annotations

import base64


def data_uri(svg: str) -> str:
    """Return an SVG as an address for an ``img`` element.

    Examples
    --------
    >>> data_uri("<svg/>")
    'data:image/svg+xml;base64,PHN2Zy8+'
    """
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
