"""Names and lengths that SQLite and PostgreSQL take differently: what we let through works on both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger_entry import MAX_ENTRY_CHARACTERS, Draft
from airflow_mlops_provider.core.names import check_alias, check_model_name
from airflow_mlops_provider.core.op_key import derived_key
from airflow_mlops_provider.registry.adoption import Effect, register
from airflow_mlops_provider.registry.champion import resolve
from airflow_mlops_provider.registry.ledger import CHAMPION, enter, read_history
from airflow_mlops_provider.registry.model_files import fetched, verified_manifest
from airflow_mlops_provider.registry.models import log_model
from airflow_mlops_provider.registry.runs import PARAM_LENGTH, TAG_LENGTH, LoggedRun, logged_run
from airflow_mlops_provider.registry.session import Registry, open_registry
from tests.faults.conftest import Store

NAMES = [
    *("churn", "a b", "it's", 'say "x"', 'it\'s "x"', "a`b", "<img src=x onerror=alert(1)>", "<b>", "%2e%2e"),
    *(
        "été 👩‍🔬",
        "顧客",
        "x" * 239,
        "é" * 239,
        "👍" * 239,
        "a.b",
        "-",
        "_",
        "1",
        "null",
        "{{ x }}",
        "a\\b",
        "a%b",
        "$a;--",
    ),
    *("a#b", "a&b=c", "a+b", "50%25", "[a]", "~", ".hidden", "latest", "m-1", "v1"),
    *("why?", "?", "a?b", "x@champion", "a@b.c", "@"),
    *("x" * 240, "x" * 300, "", " ", "\t", "a\x00b", "a\nb", "..", ".", "../x", "a/b", "a:b", "abc\u202exe", "a\ud800"),
    *(" a", "a ", "a\x1b[31m"),
]
ALIASES = [
    *("champion", "shadow-2", "x" * 255, "latest", "Latest", "v1", "V2", "a b", "Champion", "", "x" * 256, "é", "a\n"),
]


def accepted(check: Any, value: str) -> bool:
    try:
        check(value)
    except InputError:
        return False
    return True


def have_a_champion(registry: Registry, name: str, run: LoggedRun, model_id: str) -> None:
    client = registry.client
    op = derived_key("names", name)
    version = register(
        registry,
        Effect(model_name=name, op=op, input_sha256="i"),
        model_id=model_id,
        run_id=run.run_id,
        tags={},
        description="",
    )
    subject = version.reference()
    draft = Draft(kind="promote", by={"dag_id": "names"}, at="t", subject=subject, reason="é" * 1000)
    enter(registry, name, op="a", decide=lambda _: draft, by={}, now="t")
    assert str(client.get_registered_model(name).aliases[CHAMPION]) == "1"
    assert read_history(registry, name).champion == subject
    found = client.search_model_versions(f"tags.`mlops.op_key` = '{op}'")
    assert {one.name for one in found} == {name}
    champion = resolve(registry, name, None, alias=CHAMPION)
    assert champion.reference() == version.reference()
    with fetched(registry, champion) as directory:
        assert (directory / "model.skops").read_bytes() == b"files"
        verified_manifest(registry, champion, directory)


def test_every_model_name_that_is_let_through_works(store: Store, tmp_path: Path) -> None:
    names = [name for name in NAMES if accepted(check_model_name, name)]
    assert len(names) == 33
    (tmp_path / "model.skops").write_bytes(b"files")
    with (
        open_registry(store.server()) as registry,
        logged_run(registry, experiment_name="names", run_name="r", tags={}) as run,
    ):
        model_id = log_model(run, tmp_path, params={})
        for name in names:
            have_a_champion(registry, name, run, model_id)


def test_every_alias_that_is_let_through_works(store: Store, model_name: str) -> None:
    aliases = [alias for alias in ALIASES if accepted(check_alias, alias)]
    assert aliases == ["champion", "shadow-2", "x" * 255]
    with open_registry(store.server()) as registry:
        registry.client.create_registered_model(model_name)
        registry.client.create_model_version(model_name, source="s3://models/none")
        for alias in aliases:
            registry.client.set_registered_model_alias(model_name, alias, "1")
        assert set(registry.client.get_registered_model(model_name).aliases) == set(aliases)


def test_the_longest_texts_that_are_let_through_come_back_whole(store: Store, model_name: str) -> None:
    text = "é" * PARAM_LENGTH
    with (
        open_registry(store.server()) as registry,
        logged_run(
            registry, experiment_name=f"lengths {model_name}", run_name="x", tags={"long": "ü" * TAG_LENGTH}
        ) as run,
    ):
        run.log_params({"long": text})
        found = registry.client.get_run(run.run_id).data
        assert (found.params["long"], found.tags["long"]) == (text, "ü" * TAG_LENGTH)


def test_the_longest_entry_of_a_ledger_comes_back_whole(store: Store, model_name: str) -> None:
    room = MAX_ENTRY_CHARACTERS - 400
    draft = Draft(kind="approve", by={}, at="t", details={"note": "ß" * room})
    with open_registry(store.server()) as registry:
        enter(registry, model_name, op="a", decide=lambda _: draft, by={}, now="t")
        assert read_history(registry, model_name).entries[0].details == {"note": "ß" * room}
