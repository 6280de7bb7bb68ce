"""The handsets, mirrored: read once, then kept up by the simulator's events."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
from fastapi import HTTPException

from sandbox.phone.hub import Hub
from sandbox.phone.outside import Outside
from sandbox.phone.people import MADE_UP, Person, address_of

__all__ = ["Chats"]

AGAIN_S = 0.5


class Chats:
    """People whom nobody entered here appear too: the demo's client, or a test's."""

    def __init__(self, outside: Outside, hub: Hub) -> None:
        self._outside = outside
        self._hub = hub
        self._given: dict[str, str] = {}
        self._introduced: set[str] = set()
        """Who got their name here: a handset that is only looked at makes a nameless person too."""
        self.people: dict[str, Person] = {}
        self.connected = False
        self.lost: Callable[[], None] = lambda: None
        """Called when the simulator forgot everything."""

    async def run(self) -> None:
        """For ever: a simulator that is away, or forgot everything, is read anew."""
        while True:
            try:
                last: int | None = await self._load()
                self._connected(now=True)
                self._hub.tell("people", self.stories())
                while last is not None:
                    last = await self._follow(last)
            except (httpx.HTTPError, HTTPException):
                self._connected(now=False)
                await asyncio.sleep(AGAIN_S)

    async def add(self, name: str, number: str, *, hidden: bool) -> Person:
        """Raises UnusableNumber; HTTPException where the simulator is away."""
        address, given = address_of(number)
        self._given[address] = given
        traits = {"profile_name": name, "hidden": hidden}
        told = await self._outside.do("PUT", "twilio", f"/contacts/{address}", traits)
        self._introduced.add(address)
        person = self._met(told, self.people)
        self._hub.tell("person", person.story())
        return person

    def stories(self) -> list[dict[str, Any]]:
        """Those who are made up first: a slow answer may have made another one known before."""
        return [person.story() for person in sorted(self.people.values(), key=_place)]

    async def _load(self) -> int:
        last: int = (await self._outside.get("twilio", "/events", after=2**53))["last"]
        known = {one["address"] for one in await self._outside.get("twilio", "/contacts")}
        for name, number, hidden in MADE_UP:
            if address_of(number)[0] not in known & self._introduced:
                await self.add(name, number, hidden=hidden)
        people: dict[str, Person] = {}
        for told in await self._outside.get("twilio", "/contacts"):
            await self._fill(self._met(told, people))
        self.people = people
        return last

    def _met(self, told: dict[str, Any], people: dict[str, Person]) -> Person:
        address = told["address"]
        person = people.get(address)
        if person is None:
            given = self._given.get(address) or _made_up(address) or address.removeprefix("whatsapp:")
            person = people[address] = Person(address, given, told["profile_name"])
        person.name, person.user_id, person.hidden = told["profile_name"], told["bsuid"], told["hidden"]
        return person

    async def _fill(self, person: Person) -> None:
        handset = await self._outside.get("twilio", f"/handset/{person.address}")
        for bubble in handset["bubbles"]:
            person.show(bubble)
        person.typing = bool(handset["typing"]) and handset["typing"][-1]["until"] is None

    async def _follow(self, last: int) -> int | None:
        """The number of the last event; None where some are missing."""
        told = await self._outside.news("twilio", "/events", last)
        events = told["events"]
        if told["last"] < last or (events and events[0]["n"] != last + 1):
            return None
        if any(event["event"] == "forgotten" for event in events):
            self._introduced.clear()
            self.lost()
            return None
        for event in events:
            await self._happened(event)
        return int(told["last"])

    async def _happened(self, event: dict[str, Any]) -> None:
        address = event["address"]
        person = self.people.get(address)
        if person is None:
            person = await self._stranger(address)
            if person is None:
                return
        kind = event["event"]
        if kind == "bubble":
            person.show(event["bubble"])
            self._hub.tell("bubble", {"address": address, "bubble": event["bubble"]})
        elif kind == "tick" and event["sid"] in person.bubbles:
            person.bubbles[event["sid"]]["tick"] = event["tick"]
            self._hub.tell("tick", {"address": address, "sid": event["sid"], "tick": event["tick"]})
        elif kind == "webhook" and not event["accepted"] and event["sid"] in person.bubbles:
            person.bubbles[event["sid"]]["lost"] = lost = str(event["http"] or event["error"] or "drop")
            self._hub.tell("lost", {"address": address, "sid": event["sid"], "lost": lost})
        elif kind == "typing":
            person.typing = event["on"]
            self._hub.tell("typing", {"address": address, "on": event["on"]})

    async def _stranger(self, address: str) -> Person | None:
        """None where the simulator has forgotten them again."""
        known = await self._outside.get("twilio", "/contacts")
        told = next((one for one in known if one["address"] == address), None)
        if told is None:
            return None
        person = self._met(told, self.people)
        self._hub.tell("person", person.story())
        return person

    def _connected(self, *, now: bool) -> None:
        if now != self.connected:
            self.connected = now
            self._hub.tell("link", {"twilio": now})


def _made_up(address: str) -> str | None:
    return next((number for _, number, _ in MADE_UP if address_of(number)[0] == address), None)


def _place(person: Person) -> int:
    made_up = [address_of(number)[0] for _, number, _ in MADE_UP]
    return made_up.index(person.address) if person.address in made_up else len(made_up)
