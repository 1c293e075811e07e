from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.plugins import models_page
from airflow_mlops_provider.plugins.model_table import DagRunRef, ModelRow, ModelTable, VersionRow
from airflow_mlops_provider.plugins.models_page import create_app

EVIL = '<img src=x onerror="alert(1)">'


def version(**fields: object) -> VersionRow:
    given = {
        "alias": "champion",
        "version": "3",
        "url": "http://mlflow.example/#/models/churn/versions/3",
        "metric": "roc_auc 0.85 [0.83, 0.87]",
        "verdict": "rubber_stamped",
        "verdict_against": None,
        "evaluated_at": "2026-11-20T10:01:12+00:00",
        "promoted_at": "2026-11-20T10:02:00+00:00",
        "promoted_by": None,
        "previous_champion": "",
    }
    return VersionRow(**{**given, **fields})  # type: ignore[arg-type]  # a mixed bag of field values


def table(*models: ModelRow, complete: bool = True) -> ModelTable:
    return ModelTable(address="http://mlflow.example", models=models, complete=complete)


@pytest.fixture(scope="module")
def airflow_app(airflow_home: Path) -> FastAPI:
    """Airflow's own API application, with the plugins that are installed."""
    from airflow.api_fastapi.app import create_app as create_airflow

    return create_airflow(apps="core")


@pytest.fixture(scope="module")
def token(airflow_app: FastAPI) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="vera", role="VIEWER"))


@pytest.fixture
def page(token: str) -> Iterator[Callable[..., str]]:
    """Show a reading to someone who is logged in, and return the HTML."""

    def show(read: Callable[[], ModelTable], *, airflow_path: str = "") -> str:
        client = TestClient(create_app(read=read, airflow_path=airflow_path), cookies={"_token": token})
        answer = client.get("/models")
        assert answer.status_code == 200
        return answer.text

    return show


def test_airflow_mounts_the_page_behind_its_login(airflow_app: FastAPI, token: str) -> None:
    anonymous = TestClient(airflow_app, raise_server_exceptions=False)
    assert anonymous.get("/mlops/models").status_code == 401
    known = TestClient(airflow_app, headers={"Authorization": f"Bearer {token}"})
    answer = known.get("/mlops/models")
    assert answer.status_code == 200
    assert "<h1>Models</h1>" in answer.text


def test_the_mounted_application_tells_strangers_nothing_else(airflow_app: FastAPI) -> None:
    anonymous = TestClient(airflow_app, raise_server_exceptions=False)
    for path in ("/mlops/docs", "/mlops/redoc", "/mlops/openapi.json", "/mlops/"):
        assert anonymous.get(path).status_code in {401, 404}


def test_every_route_is_read_only_and_closed_to_strangers(airflow_app: FastAPI) -> None:
    app = create_app(read=table)
    client = TestClient(app)
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert routes
    assert len(routes) == len(app.routes)
    for route in routes:
        assert route.methods == {"GET"}
        assert client.get(route.path).status_code == 401
        assert client.get(route.path, headers={"Authorization": "Bearer forged.token.here"}).status_code in {401, 403}


def test_the_navigation_entry_leads_to_the_page(airflow_app: FastAPI, token: str) -> None:
    known = TestClient(airflow_app, headers={"Authorization": f"Bearer {token}"})
    views = [
        view
        for plugin in known.get("/api/v2/plugins").json()["plugins"]
        if plugin["name"] == "mlops"
        for view in plugin["external_views"]
    ]
    assert [(view["name"], view["destination"], view["url_route"]) for view in views] == [("Models", "nav", "models")]
    assert known.get(views[0]["href"]).status_code == 200


def test_answers_carry_the_headers_that_keep_others_out(airflow_app: FastAPI, token: str) -> None:
    app = create_app(read=table)
    for client in (TestClient(app, cookies={"_token": token}), TestClient(app)):
        headers = client.get("/models").headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"


def test_each_answer_has_a_nonce_of_its_own(page: Callable[..., str]) -> None:
    def nonce(html: str) -> str:
        return html.partition('nonce="')[2].partition('"')[0]

    assert nonce(page(table)) != nonce(page(table))


def test_names_and_tags_cannot_bring_markup(page: Callable[..., str]) -> None:
    row = version(verdict=EVIL, metric=EVIL, promoted_at=EVIL, previous_champion=EVIL, evaluated_at=EVIL, version=EVIL)
    html = page(lambda: table(ModelRow(name=EVIL, url=None, versions=(row,))))
    assert "<img" not in html
    assert html.count("&lt;img") >= 5


def test_a_model_is_shown_with_role_metric_verdict_and_links(page: Callable[..., str]) -> None:
    html = page(
        lambda: table(ModelRow(name="churn", url="http://mlflow.example/#/models/churn", versions=(version(),)))
    )
    for text in ("churn", "champion", "v3", "roc_auc 0.85 [0.83, 0.87]", "rubber stamped", "2026-11-20 10:02 UTC"):
        assert text in html
    assert 'href="http://mlflow.example/#/models/churn"' in html
    assert 'href="http://mlflow.example/#/models/churn/versions/3"' in html


@pytest.mark.parametrize(
    ("verdict", "tone"), [("blessed", "good"), ("rubber_stamped", "good"), ("not_blessed", "bad"), ("whatever", "")]
)
def test_a_verdict_looks_like_what_it_means(page: Callable[..., str], verdict: str, tone: str) -> None:
    html = page(lambda: table(ModelRow(name="churn", url=None, versions=(version(verdict=verdict),))))
    assert f'<span class="{tone}">{verdict.replace("_", " ")}</span>' in html


def test_the_promoting_run_is_shown_only_to_those_who_may_read_its_dag(
    page: Callable[..., str], monkeypatch: pytest.MonkeyPatch, airflow_app: FastAPI
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    by = DagRunRef(dag_id="secret_dag", run_id="manual__2026-11-20T10:00:00+00:00")

    def read() -> ModelTable:
        return table(ModelRow(name="churn", url=None, versions=(version(promoted_by=by),)))

    assert "secret_dag" not in page(read)
    monkeypatch.setattr(get_auth_manager(), "get_authorized_dag_ids", lambda **_: {"secret_dag"})
    html = page(read, airflow_path="/airflow")
    assert 'href="/airflow/dags/secret_dag/runs/manual__2026-11-20T10%3A00%3A00%2B00%3A00"' in html


def test_an_empty_registry_says_how_a_model_comes_about(page: Callable[..., str]) -> None:
    assert "TrainModelOperator" in page(table)


def test_a_cut_list_says_so(page: Callable[..., str]) -> None:
    html = page(lambda: table(ModelRow(name="churn", url=None, versions=()), complete=False))
    assert "more than the first\n1 shown" in html


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OutageError("secret detail"), "cannot be reached"),
        (InputError("secret detail"), "mlflow_default cannot be used"),
        (RuntimeError("secret detail"), "cannot be read"),
    ],
)
def test_trouble_with_mlflow_is_a_sentence_and_its_details_stay_in_the_log(
    page: Callable[..., str], error: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    def read() -> ModelTable:
        raise error

    html = page(read)
    assert said in html
    assert "secret detail" not in html
    assert "secret detail" in caplog.text


def test_a_hung_mlflow_delays_the_page_by_its_limit_only(
    page: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def read() -> ModelTable:
        released.wait(60)
        return table()

    monkeypatch.setattr(models_page, "ANSWER_SECONDS", 0.2)
    try:
        assert "did not answer within" in page(read)
    finally:
        released.set()


def test_people_who_look_together_share_one_reading(token: str) -> None:
    started, released = threading.Event(), threading.Event()
    readings: list[int] = []

    def read() -> ModelTable:
        readings.append(1)
        started.set()
        released.wait(60)
        return table()

    answers: list[int] = []
    with TestClient(create_app(read=read), cookies={"_token": token}) as client:

        def look() -> None:
            answers.append(client.get("/models").status_code)

        lookers = [threading.Thread(target=look) for _ in range(5)]
        for looker in lookers:
            looker.start()
        assert started.wait(30)
        # A healthy event loop still answers: the reading does not stand in its way.
        assert client.get("/nothing").status_code == 404
        released.set()
        for looker in lookers:
            looker.join(30)
    assert answers == [200] * 5
    assert len(readings) < 5
