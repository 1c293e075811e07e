from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger import History, replay
from airflow_mlops_provider.core.ledger_entry import (
    MAX_ENTRY_CHARACTERS,
    MAX_REASON_CHARACTERS,
    MOVES,
    Draft,
    Entry,
    VersionRef,
)

KINDS = ("promote", "reject", "rollback", "retrain_requested", "retrain_suppressed", "approve", "adopt", "next")


def ref(version: int) -> VersionRef:
    return VersionRef(version=str(version), created_ms=1000 + version, run_id=f"run{version}")


def draft(kind: Any, version: int = 1, **rest: Any) -> Draft:
    return Draft(kind=kind, by={"dag_id": "churn"}, at="2026-11-20T00:00:00+00:00", subject=ref(version), **rest)


def texts_of(drafts: list[Draft]) -> list[str]:
    texts: list[str] = []
    for number, one in enumerate(drafts):
        texts.append(replay(texts).next_entry(one, op=f"op{number}").to_text())
    return texts


DRAFTS = st.lists(st.builds(draft, st.sampled_from(KINDS), st.integers(1, 4)), max_size=12)


@given(DRAFTS)
def test_a_replayed_ledger_holds_every_entry_in_order_and_the_champion_of_the_last_move(drafts: list[Draft]) -> None:
    history = replay(texts_of(drafts))
    assert [(one.kind, one.subject) for one in history.entries] == [(one.kind, one.subject) for one in drafts]
    moves = [one.subject for one in drafts if one.kind in ("promote", "rollback", "adopt")]
    assert history.champion == (moves[-1] if moves else None)
    assert [one.subject for one in history.reigns()] == moves


@given(DRAFTS.filter(lambda drafts: len(drafts) >= 2), st.data())
def test_a_missing_or_doubled_or_swapped_entry_breaks_the_chain(drafts: list[Draft], data: st.DataObject) -> None:
    texts = texts_of(drafts)
    place = data.draw(st.integers(0, len(texts) - 2))
    lacking = texts[:place] + texts[place + 1 :]
    doubled = [*texts[: place + 1], *texts[place:]]
    swapped = [*texts[:place], texts[place + 1], texts[place], *texts[place + 2 :]]
    for broken in (lacking, doubled, swapped):
        with pytest.raises(InputError, match=r"Entry \d+ of the ledger does not fit"):
            replay(broken)


def test_an_entry_that_was_edited_breaks_the_chain() -> None:
    texts = texts_of([draft("promote", 1), draft("promote", 2), draft("reject", 3)])
    edited = json.loads(texts[0])
    edited["reason"] = "nothing to see"
    with pytest.raises(InputError, match="Entry 2 of the ledger does not fit: the hash of the entry before it"):
        replay([json.dumps(edited, sort_keys=True, separators=(",", ":")), *texts[1:]])


def test_an_entry_made_for_another_champion_does_not_fit() -> None:
    first = replay(texts_of([draft("promote", 1)]))
    stranger = History(entries=first.entries, tip=first.tip).next_entry(draft("promote", 2), op="b")
    forged = json.loads(stranger.to_text())
    forged["previous"]["version"] = "9"
    with pytest.raises(InputError, match="the champion before it"):
        replay([first.entries[0].to_text(), json.dumps(forged)])


def test_one_key_is_entered_once() -> None:
    first = replay(texts_of([draft("reject")]))
    again = first.next_entry(draft("reject"), op="op0")
    with pytest.raises(InputError, match="its key, which entry 1 has too"):
        replay([first.entries[0].to_text(), again.to_text()])


@given(
    reason=st.text(max_size=400),
    details=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20) | st.none(), max_size=4),
)
def test_an_entry_survives_its_text(reason: str, details: dict[str, Any]) -> None:
    entry = History().next_entry(draft("reject", reason=reason, details=details), op="a")
    assert Entry.from_text(entry.to_text()) == entry


def test_a_lone_surrogate_is_written_as_characters_a_database_takes() -> None:
    entry = History().next_entry(draft("reject", reason="cut \ud83d here"), op="a")
    assert "cut" in entry.to_text().encode("utf-8").decode()


def test_a_long_reason_is_cut_and_says_so() -> None:
    entry = History().next_entry(draft("reject", reason="x" * 5000), op="a")
    assert len(entry.reason) == MAX_REASON_CHARACTERS
    assert entry.reason.endswith("…")


def test_an_entry_that_mlflow_would_cut_off_is_refused() -> None:
    entry = History().next_entry(draft("reject", details={"rows": "x" * MAX_ENTRY_CHARACTERS}), op="a")
    with pytest.raises(InputError, match="at most 6000 characters"):
        entry.to_text()


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_details_that_are_no_json_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match="plain JSON"):
        History().next_entry(draft("reject", details={"value": value}), op="a").to_text()


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": None},
        {"kind": "crown"},
        {"surplus": 1},
        {"previous": {"version": "1"}},
        {"subject": "1"},
    ],
)
def test_texts_that_are_no_entry_of_this_form_are_refused(change: dict[str, Any]) -> None:
    values = json.loads(History().next_entry(draft("promote"), op="a").to_text())
    with pytest.raises(InputError, match="A ledger entry"):
        replay([json.dumps({**values, **change})])


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', "{}"])
def test_texts_that_are_no_json_object_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        replay([text])


def test_reigns_end_where_the_next_begins() -> None:
    moves = [
        Draft(kind=kind, by={"dag_id": "d"}, at=at, subject=ref(version))  # type: ignore[arg-type]
        for kind, at, version in (("promote", "t1", 1), ("promote", "t2", 2), ("rollback", "t3", 1))
    ]
    reigns = replay(texts_of(moves)).reigns()
    assert [(one.subject.version, one.since, one.until, one.entry.kind) for one in reigns] == [
        ("1", "t1", "t2", "promote"),
        ("2", "t2", "t3", "promote"),
        ("1", "t3", None, "rollback"),
    ]


@pytest.mark.parametrize(
    ("moves", "targets"),
    [
        ([], []),
        ([("promote", 1)], []),
        ([("promote", 1), ("promote", 2), ("promote", 3)], [2, 1]),
        ([("promote", 1), ("promote", 2), ("rollback", 1)], []),
        ([("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 3)], [1]),
        ([("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 2)], [1]),
        ([("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 2), ("promote", 3)], [2, 1]),
        ([("promote", 1), ("promote", 2), ("adopt", 1), ("reject", 3)], [2]),
    ],
)
def test_one_goes_back_to_the_latest_champion_that_nobody_went_back_from(
    moves: list[tuple[Any, int]], targets: list[int]
) -> None:
    history = replay(texts_of([draft(kind, version) for kind, version in moves]))
    assert [int(one.version) for one in history.rollback_targets()] == targets


def test_a_version_made_anew_under_the_same_number_is_another_one() -> None:
    assert not ref(1).is_same_as(VersionRef(version="1", created_ms=5))
    assert ref(1).is_same_as(VersionRef(version="1", created_ms=1001, manifest_sha256="ab"))


@pytest.mark.parametrize("kind", sorted(MOVES))
def test_a_move_must_say_which_version_it_makes_champion(kind: Any) -> None:
    with pytest.raises(InputError, match="must name the version"):
        Draft(kind=kind, by={}, at="t")


def test_a_kind_nobody_knows_is_refused_before_it_is_entered() -> None:
    with pytest.raises(InputError, match="kind of a ledger entry"):
        Draft(kind="crown", by={}, at="t")  # type: ignore[arg-type]


def test_the_hash_of_a_versions_files_is_the_last_one_proven() -> None:
    proven, again = replace(ref(1), manifest_sha256="a"), replace(ref(1), manifest_sha256="b")
    drafts = [replace(draft("promote"), subject=one) for one in (proven, ref(2), again)] + [draft("adopt", 1)]
    history = replay(texts_of(drafts))
    assert history.manifest_of(ref(1)) == "b"
    assert history.manifest_of(ref(2)) is None
    assert history.manifest_of(VersionRef(version="1", created_ms=7)) is None


@pytest.mark.parametrize(("kind", "leaves"), [("rollback", True), ("adopt", True), ("promote", False)])
def test_who_went_back_from_a_version_is_found_when_it_was_after_a_number(kind: str, leaves: bool) -> None:
    history = replay(texts_of([draft("promote", 1), draft("promote", 2), draft(kind, 1)]))
    left = history.left(ref(2), after=2)
    assert (left is not None) is leaves
    assert history.left(ref(2), after=3) is None
    assert history.left(ref(3), after=0) is None
