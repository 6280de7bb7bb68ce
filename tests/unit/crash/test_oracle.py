"""The oracle of the crash run finds each kind of fault that is planted, and nothing in a sound run."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.crash.account import Account
from tests.crash.clients import Sent
from tests.crash.evidence import Evidence, Excuse, Shown
from tests.crash.operators import Shift
from tests.crash.oracle import judge
from tests.crash.plan import Plan

START = datetime(2026, 11, 26, 10, tzinfo=UTC)
SORRY = "Disculpa, tuve un problema procesando tu mensaje."


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sent(number: int, began: float, took: float = 0.1) -> Sent:
    return Sent(1, f"c1n{number}", at(began), at(began + took))


def shown(place: int, posted: float, body: str) -> Shown:
    return Shown(1, place, at(posted), body)


THREE = [sent(1, 0), sent(2, 1), sent(3, 10)]


def account(*bubbles: Shown, messages: list[Sent] | None = None, shift: Shift | None = None, told: str = "") -> Account:
    shifts = [shift] if shift else []
    return judge(Evidence(messages or THREE, bubbles, shifts, {1: [Excuse(told, at(60))]}))


def faults(found: Account) -> tuple[int, int, int, int]:
    return found.lost, found.doubled, found.inverted, found.after_fence


def test_one_answer_may_cover_several_messages() -> None:
    found = account(shown(1, 2, "c1n1 hola\nc1n2 quisiera"), shown(2, 11, "c1n3 gracias"))
    assert (found.sent, found.answered, faults(found)) == (3, 3, (0, 0, 0, 0))
    assert found.sound


def test_what_has_no_answer_is_lost() -> None:
    found = account(shown(1, 2, "c1n1"), shown(2, 11, "c1n3"))
    assert faults(found) == (1, 0, 0, 0)


def test_what_twilio_gave_up_on_is_not_missed() -> None:
    found = account(shown(1, 2, "c1n1"), messages=[sent(1, 0), Sent(1, "c1n2", at(1))])
    assert (found.refused, faults(found)) == (1, (0, 0, 0, 0))


@pytest.mark.parametrize("kind", ["uncertain", "expired", "undeliverable", "throttled"])
def test_a_notice_excuses_one_reply(kind: str) -> None:
    found = account(shown(1, 2, "c1n1"), told=kind)
    assert (getattr(found, kind), found.lost) == (2, 0)
    assert account(shown(1, 2, "c1n2"), told=kind).lost == 1


def test_an_apology_excuses_what_it_stands_for_only() -> None:
    assert account(shown(1, 2, "c1n1 c1n2"), shown(2, 12, SORRY)).apologised == 1
    assert account(shown(1, 2, SORRY), shown(2, 3, "c1n1 c1n2")).lost == 1


def test_an_answer_shown_twice_is_a_double_unless_it_was_told() -> None:
    twice = (shown(1, 2, "c1n1 c1n2"), shown(2, 3, "c1n1 c1n2"), shown(3, 11, "c1n3"))
    assert faults(account(*twice)) == (0, 2, 0, 0)
    told = account(*twice, told="posted_again")
    assert (told.uncertain, faults(told)) == (1, (0, 0, 0, 0))


def test_an_inversion_is_against_the_acknowledgement() -> None:
    swapped = (shown(1, 2, "c1n2"), shown(2, 3, "c1n1"), shown(3, 11, "c1n3"))
    assert faults(account(*swapped)) == (0, 0, 1, 0)
    at_once = [sent(1, 0, took=5), sent(2, 1), sent(3, 10)]
    assert faults(account(*swapped, messages=at_once)) == (0, 0, 0, 0)
    assert account(shown(1, 2, "c1n2 c1n1"), shown(2, 11, "c1n3")).inverted == 1


def test_nothing_may_be_posted_from_the_confirmation_to_the_hand_back() -> None:
    bubbles = (shown(1, 2, "c1n1"), shown(2, 6, "c1n2"), shown(3, 12, "c1n3"))
    assert account(*bubbles, shift=Shift(1, at(4), at(5), None, at(9))).after_fence == 1
    assert account(*bubbles, shift=Shift(1, at(4), at(7), None, at(9))).after_fence == 0
    person = (bubbles[0], shown(2, 6, "Soy Luis, le atiendo yo."), bubbles[2])
    assert faults(account(*person, shift=Shift(1, at(0.5), at(5), at(5.5), at(9)))) == (0, 0, 0, 0)


def test_what_the_bot_left_out_before_the_take_over_is_not_a_persons() -> None:
    shift, words = Shift(1, at(11), at(12), at(13), at(16)), shown(3, 13.5, "Soy Luis, le atiendo yo.")
    assert account(shown(1, 2, "c1n1"), words, shift=shift).taken_over == 2
    assert account(shown(1, 2, "c1n1"), shown(2, 10.5, "c1n3"), words, shift=shift).lost == 1


def test_what_was_acknowledged_late_came_late() -> None:
    """Both at once: the first one's webhook had to be repeated, and came after the take-over."""
    burst = [sent(1, 0, took=8), sent(2, 1), sent(3, 10)]
    shift = Shift(1, at(4), at(5), at(9), at(9.5))
    words = shown(2, 9, "Soy Luis, le atiendo yo.")
    found = account(shown(1, 2, "c1n2"), words, shown(3, 12, "c1n3"), messages=burst, shift=shift)
    assert (found.taken_over, faults(found)) == (1, (0, 0, 0, 0))


def test_where_no_person_spoke_the_hand_back_answers_everything() -> None:
    assert account(shown(1, 2, "c1n1"), shown(2, 12, "c1n3"), shift=Shift(1, at(0.5), at(5), None, at(9))).lost == 1


def test_a_wait_is_from_the_blow_to_the_answer() -> None:
    messages, bubbles = [sent(1, 0), sent(2, 1)], [shown(1, 8, "c1n1"), shown(2, 9, "c1n2")]
    found = judge(Evidence(messages, bubbles, blows=[(at(2), "kill sender"), (at(20), "kill sender")]))
    assert (found.recovery_p50_s, found.recovery_p99_s) == (6.0, 6.0)


def test_a_seed_is_a_plan() -> None:
    assert Plan(7, 120).blows == Plan(7, 120).blows
    assert Plan(7, 120).scripts == Plan(7, 120).scripts
    assert Plan(7, 120).take_overs == Plan(7, 120).take_overs
    assert Plan(7, 120).blows != Plan(8, 120).blows
    assert len([one for one in Plan(7, 3600).blows if one.what == "kill"]) >= 300
