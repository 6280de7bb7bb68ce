"""When a thought is over."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.thought import MOST_DRAFTS, Bubble, Ending, Habit, Quiet, ending, habit_of, patience

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
F, S, P, U = Ending.FINISHED, Ending.SENTENCE, Ending.PLAIN, Ending.UNFINISHED
BUBBLES = st.lists(
    st.builds(Bubble, st.text(max_size=30), st.just(NOW), st.sampled_from(["text", "image", "audio", "button", "x"])),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("¿A qué hora es?", F), ("what time is it?", F), ("gracias", F), ("Thanks!", F), ("obrigada", F),
        ("Es el martes.", S), ("¡Perfecto!", S), ("(el de ayer)", S),
        ("necesito cambiar mi cita", P), ("10:30", P), ("ok", P), ("👍", P),
        ("Hola", U), ("Buenos días!", U), ("hi", U), ("Oi", U), ("una pregunta", U),
        ("quería saber si", U), ("I wanted to know about", U), ("preciso mudar porque", U), ("también", U),
        ("mi número es:", U), ("bueno,", U), ("pues...", U), ("espera…", U), ("Quiero cancelar y", U),
        ("y", U), ("", P), ("   ", P),
    ],
)  # fmt: skip
def test_endings_of_text(text: str, expected: Ending) -> None:
    assert ending(Bubble(text, NOW)) is expected


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("image", "", U), ("image", "esta es la factura", P), ("document", "f.pdf", P), ("audio", "", P),
        ("location", "", P), ("sticker", "", U), ("button", "Sí", F), ("list", "Martes", F), ("interactive", "", F),
    ],
)  # fmt: skip
def test_endings_of_other_kinds(kind: str, text: str, expected: Ending) -> None:
    assert ending(Bubble(text, NOW, kind)) is expected


@given(BUBBLES, st.integers(0, 2), st.floats(0, 30), st.sampled_from(Habit), st.floats(0, 10))
def test_no_wait_is_longer_than_the_setting(
    bubbles: list[Bubble], stale: int, waited_s: float, habit: Habit, most_s: float
) -> None:
    got = patience(bubbles, Quiet(0.9, most_s), stale=stale, waited_s=waited_s, habit=habit)
    assert got.ask_s >= 0
    assert got.hold_s >= 0
    assert got.ask_s + got.hold_s <= most_s + 1e-9
    assert waited_s + got.ask_s + got.hold_s <= max(waited_s, 2 * most_s) + 1e-9


def test_an_unfinished_bubble_is_waited_for_at_least_so_long_as_set() -> None:
    for habit in Habit:
        assert patience([Bubble("hola", NOW)], Quiet(unfinished_s=4.5), habit=habit).ask_s >= 4.5


def test_a_finished_one_of_somebody_who_writes_in_one_piece_is_asked_at_once() -> None:
    assert patience([Bubble("¿Qué hora es?", NOW)], Quiet(), habit=Habit.SINGLE).ask_s == 0


def test_the_draft_that_cannot_become_stale_waits_longer() -> None:
    bubbles = [Bubble("uno", NOW), Bubble("mi cita de ayer", NOW)]
    assert patience(bubbles, Quiet(), stale=MOST_DRAFTS).ask_s > patience(bubbles, Quiet(), stale=1).ask_s


@pytest.mark.parametrize(
    ("gaps", "habit"),
    [
        ([], Habit.UNKNOWN), ([1, 1], Habit.UNKNOWN), ([60, 90, 300], Habit.SINGLE), ([1, 60, 2], Habit.BURSTS),
        ([60, 1, 90, 300, 80, 70], Habit.SINGLE), ([60, 1, 90, 300], Habit.UNKNOWN), ([4, 4, 4.1, 300], Habit.BURSTS),
    ],
)  # fmt: skip
def test_habits(gaps: list[float], habit: Habit) -> None:
    moments = [NOW]
    for gap in gaps:
        moments.append(moments[-1] + timedelta(seconds=gap))
    assert habit_of(moments) is habit
