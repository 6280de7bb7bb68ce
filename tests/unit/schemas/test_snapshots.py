"""The contract on disk: snapshots equal to the code, recorded records still readable."""

from pathlib import Path

import pytest

from schemas import snapshot
from schemas.attributes import decode
from tests.samples.examples import AT, CONTACT, EXPECTED_TYPES
from tests.samples.record import load, samples


@pytest.mark.parametrize("path", sorted(snapshot.snapshots()), ids=lambda path: path.name)
def test_the_checked_in_file_is_what_the_code_says(path: Path) -> None:
    assert path.read_text() == snapshot.render(snapshot.snapshots()[path]), "run `python -m schemas.snapshot`"


def test_no_file_of_a_type_that_is_gone() -> None:
    expected = {path for path in snapshot.snapshots() if path.parent.name == "json"}
    assert set((snapshot.HERE / "json").iterdir()) == expected


def test_asyncapi_names_every_topic_and_message() -> None:
    document = snapshot.snapshots()[snapshot.HERE / "asyncapi.json"]
    channels = document["channels"]
    assert set(channels) == {
        "call.completed", "contact.log", "message.outbound", "message.status", "system.notices", "dead.letters",
    }  # fmt: skip
    names = {one["name"] for channel in channels.values() for one in channel["messages"].values()}
    assert names == set(EXPECTED_TYPES)


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.stem)
def test_a_recorded_record_is_read_as_it_was_when_it_was_recorded(path: Path) -> None:
    record, name, reads_as = load(path)
    envelope = decode(record, [EXPECTED_TYPES[name]], fallback_id="from-position")
    assert envelope.data.model_dump(mode="json", exclude_unset=True) == reads_as
    if record.headers:
        assert (envelope.id, envelope.contact, envelope.time) == (f"id-{name}", CONTACT, AT)
        assert set(envelope.extensions) == {"traceparent"}


def test_every_event_has_a_recorded_record() -> None:
    assert {load(path)[1] for path in samples()} == set(EXPECTED_TYPES)
