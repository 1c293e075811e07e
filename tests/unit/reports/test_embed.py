from __future__ import annotations

import base64

from airflow_mlops_provider.reports.embed import data_uri


def test_a_picture_becomes_an_address_that_holds_it_whole_and_no_markup() -> None:
    svg = "<svg onload='alert(1)'>naïve – 数</svg>"
    uri = data_uri(svg)
    kind, _, encoded = uri.partition(";base64,")
    assert kind == "data:image/svg+xml"
    assert base64.b64decode(encoded, validate=True).decode() == svg
    assert not set(uri) & set("<>\"' ")
