"""An excuse covers the reply it speaks of, and nothing that was lost, doubled or made up beside it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from schemas.events import Event
from schemas.notices import ContactThrottled, MessageExpired, MessageUncertain, MessageUndeliverable
from tests.crash.account import Account
from tests.crash.clients import Sent, phone
from tests.crash.evidence import Evidence, Excuse, Shown
from tests.crash.excuses import excuses
from tests.crash.notices import Notices, Told
from tests.crash.operators import Shift
from tests.crash.oracle import judge
from tests.unit.crash.test_oracle import at

SORRY = "Disculpa, tuve un problema procesando tu mensaje."
LUIS = "Soy Luis, le atiendo yo."
FAULTS = ("lost", "doubled", "inverted", "after_fence", "strange")


def shown(place: int, posted: float, body: str, send: str = "") -> Shown:
    return Shown(1, place, at(posted), body, send)


def told(kind: str, seconds: float = 60, send: str = "") -> Excuse:
    return Excuse(kind, at(seconds), send)


SENT = [Sent(1, f"c1n{n}", at(10 * n), at(10 * n + 0.1), turn=f"t{n}") for n in range(6)]
ANSWERS = [shown(n + 1, 10 * n + 2, f"c1n{n}", f"t{n}-1") for n in range(6)]


def account(*bubbles: Shown, excuses: tuple[Excuse, ...] = (), shift: Shift | None = None) -> Account:
    return judge(Evidence(SENT, bubbles, [shift] if shift else [], {1: list(excuses)}))


def faults(found: Account) -> dict[str, int]:
    return {name: count for name in FAULTS if (count := getattr(found, name))}


def without(*numbers: int) -> list[Shown]:
    return [one for number, one in enumerate(ANSWERS) if number not in numbers]


UNANSWERED = {
    "notice of what was shown": (without(5), told("uncertain", 60, "t4-1")),
    "notice of another message's turn": (without(3, 5), told("expired", 60, "t3-1")),
    "notice from before": (without(5), told("undeliverable", 49)),
    "apology from before": ([*without(5), shown(7, 49, SORRY, "hand_back-1")], None),
    "apology for another message": (
        [*without(4, 5), shown(5, 42, "c1n4", "hand_back-1"), shown(6, 52, SORRY, "t4-1")],
        None,
    ),
    "the part below the fence, handed back": (without(5), told("fenced", 60, "t5-1")),
}


@pytest.mark.parametrize("case", UNANSWERED)
def test_what_speaks_of_something_else_excuses_no_loss(case: str) -> None:
    bubbles, notice = UNANSWERED[case]
    found = account(*bubbles, excuses=(notice,) if notice else (), shift=Shift(1, at(52), at(53), None, at(56)))
    assert faults(found) == {"lost": 1}
    assert not found.sound


@pytest.mark.parametrize("send", ["t4-1", "hand_back-1"])
def test_a_notice_covers_what_was_written_before_it(send: str) -> None:
    found = account(*without(4, 5), excuses=(told("uncertain", 45, send),))
    assert (found.uncertain, found.lost) == (1, 1)
    both = account(*without(4, 5), excuses=(told("uncertain", 60, send),))
    assert (both.uncertain, faults(both)) == (2, {})


def test_the_second_part_of_an_answer_may_be_uncertain() -> None:
    found = account(*without(5), excuses=(told("uncertain", 60, "t4-2"),))
    assert (found.uncertain, found.sound) == (1, True)


def test_an_apology_covers_its_turn() -> None:
    found = account(*without(4, 5), shown(5, 52, SORRY, "t4-1"))
    assert (found.apologised, found.sound) == (2, True)


def test_below_the_fence_a_person_answers() -> None:
    """Longer ago than what a person answers without being told of it."""
    long_ago = replace(SENT[0], began=at(-200), acknowledged=at(-199))
    late = Shift(1, at(20), at(21), at(22), at(25), "say")
    words = shown(9, 22.5, LUIS, "say-1")
    evidence = Evidence([long_ago, *SENT[3:]], [*ANSWERS[3:], words], [late], {1: [told("fenced", 21, "t0-1")]})
    assert judge(evidence).taken_over == 1
    assert judge(replace(evidence, excuses={})).lost == 1


AGAIN = told("posted_again", 60, "t2-1")
TWICE = {
    "another part was posted again": (shown(7, 23, "c1n2", "t1-9"), (AGAIN,)),
    "two parts, one of them posted again": (shown(7, 23, "c1n2", "hand_back-1"), (AGAIN,)),
    "nobody told": (shown(7, 23, "c1n2", "t2-1"), ()),
    "another send told": (shown(7, 23, "c1n2", "t2-1"), (told("posted_again", 60, "t1-1"),)),
}


@pytest.mark.parametrize("case", TWICE)
def test_only_the_part_that_was_posted_again_may_be_there_twice(case: str) -> None:
    copy, notices = TWICE[case]
    assert faults(account(*ANSWERS, copy, excuses=notices)) == {"doubled": 1}


def test_posted_again_is_once_more_and_not_twice() -> None:
    second, third = shown(7, 23, "c1n2", "t2-1"), shown(8, 24, "c1n2", "t2-1")
    once = account(*ANSWERS, second, excuses=(AGAIN,))
    assert (once.uncertain, once.sound) == (1, True)
    assert faults(account(*ANSWERS, second, third, excuses=(AGAIN,))) == {"doubled": 1}


def test_a_copy_of_a_webhook_inside_one_answer_is_a_double() -> None:
    assert faults(account(*without(5), shown(7, 52, "c1n5 hola\nc1n5 hola", "t5-1"))) == {"doubled": 1}


def test_an_apology_is_shown_once() -> None:
    twice = (shown(6, 52, SORRY, "t5-1"), shown(7, 53, SORRY, "t5-1"))
    assert faults(account(*without(5), *twice)) == {"doubled": 1}
    assert faults(account(*without(4, 5), shown(6, 43, SORRY, "t4-1"), shown(7, 52, SORRY, "t5-1"))) == {}


@pytest.mark.parametrize("body", ["c2n5 hola", "c1n77", "c1n5 c2n5", "ok", ""])
def test_what_nobody_of_this_contact_asked_for_is_strange(body: str) -> None:
    found = account(*without(5), shown(7, 52, "c1n5"), shown(8, 53, body))
    assert found.strange == 1
    assert not found.sound


SPOKE = Shift(1, at(52), at(53), at(54), at(57), "say")


def test_what_a_person_said_is_owed_like_an_answer() -> None:
    assert faults(account(*ANSWERS, shift=SPOKE)) == {"lost": 1}
    assert faults(account(*ANSWERS, excuses=(told("uncertain", 60, "t5-2"),), shift=SPOKE)) == {"lost": 1}
    assert account(*ANSWERS, excuses=(told("uncertain", 60, "say-1"),), shift=SPOKE).sound
    assert account(*ANSWERS, shown(7, 55, LUIS, "say-1"), shift=SPOKE).sound
    assert faults(account(*ANSWERS, shown(7, 55, LUIS, "say-1"), shown(8, 56, LUIS, "x-1"), shift=SPOKE)) == {
        "doubled": 1
    }


def test_a_notice_about_the_persons_words_excuses_no_silence() -> None:
    before = replace(SPOKE, asked=at(-9), confirmed=at(-8), spoke=at(-7), handed_back=at(-4))
    assert faults(account(*without(5), excuses=(told("uncertain", 60, "say-1"),), shift=before)) == {"lost": 1}


NOTHING = {
    "nothing was written": ([], []),
    "the ingress took nothing": ([replace(one, acknowledged=None) for one in SENT], []),
    "apologies only": (SENT, [shown(1, 52, SORRY)]),
    "half": (SENT, [*ANSWERS[:3], shown(4, 52, SORRY)]),
}


@pytest.mark.parametrize("case", NOTHING)
def test_a_run_of_excuses_is_not_sound(case: str) -> None:
    found = judge(Evidence(*NOTHING[case]))
    assert (faults(found), found.sound) == ({}, False)


def test_what_the_ingress_turned_away_is_a_fault() -> None:
    found = judge(Evidence([*SENT, Sent(1, "c1n9", at(70), turned_away=True)], ANSWERS))
    assert (found.refused, found.turned_away, found.sound) == (1, 1, False)


class Heard(Notices):
    """Notices without a broker."""

    def __init__(self, *found: Told) -> None:
        self._found = {one.id: one for one in found}


TELLING: list[tuple[type[Event], dict[str, str], str]] = [
    (MessageUncertain, {"send_id": "t1-1", "reason": "answer_lost"}, "uncertain"),
    (MessageUncertain, {"send_id": "t1-1", "reason": "fenced"}, "uncertain"),
    (MessageUncertain, {"send_id": "t1-1", "reason": "posted_again"}, "posted_again"),
    (MessageExpired, {"send_id": "t1-1"}, "expired"),
    (MessageUndeliverable, {"send_id": "t1-1", "reason": "overtaken"}, "undeliverable"),
    (MessageUndeliverable, {"send_id": "t1-1", "reason": "fenced"}, "fenced"),
    (ContactThrottled, {"reason": "loop"}, "throttled"),
]


@pytest.mark.parametrize(("kind", "data", "name"), TELLING)
def test_every_notice_says_of_which_part_it_speaks(kind: type[Event], data: dict[str, str], name: str) -> None:
    moment = datetime(2026, 11, 26, tzinfo=UTC)
    found = excuses(Heard(Told("1", kind.type_name(), moment, {"contact": phone(1), **data})), 2)
    assert found == {0: [], 1: [Excuse(name, moment, data.get("send_id", ""))]}
