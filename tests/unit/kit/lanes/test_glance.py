"""What a ledger looks like from outside."""

from kit.lanes import Ledger, Slot, glance
from kit.lanes.ledger import Lane


def test_the_oldest_unsettled_record_holds_back_those_behind_it() -> None:
    ledger = Ledger("s")
    slots = [Slot(offset, f"raw {offset}", 0.0) for offset in range(4)]
    for slot in slots:
        ledger.admit(slot)
    ledger.settle(slots[0])
    ledger.settle(slots[2])
    ledger.lanes["a"] = Lane(ledger, "a", "a")
    seen = glance(ledger)
    assert (seen.records, seen.window, seen.oldest) == (2, 3, "raw 1")
    assert (seen.lanes, seen.running, seen.waiting, seen.choked, seen.frozen) == (1, 0, 0, 0, False)


def test_of_an_idle_one_nothing_is_oldest() -> None:
    assert glance(Ledger("s")).oldest is None
