"""A whole sandbox in a real browser: the client's phone with its trouble, and client and operator at once."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from sandbox.layout import Layout
from tests.browser.conftest import Pages, Watched
from tests.journeys.test_story import sandbox

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]
NAME, SUMMARY = "Carlos Méndez", "tu cita del martes a las diez con la doctora Ruiz"
GREETING = f"¡Hola {NAME}! 👋\n\nHace un momento hablamos sobre: {SUMMARY}\n\n¿En qué más puedo ayudarte?"
QUESTION = "Hola, ¿de qué hablamos en la llamada?"
OTHER, OPERATOR = "Lucía Romero", "Marta"
SLOW_MS = 60_000.0  # another test may have the machine; locally everything is there within 3 s


def theirs(page: Page) -> Locator:
    return page.locator("#bubbles .theirs[data-sid]")


def mine(page: Page) -> Locator:
    return page.locator("#bubbles .mine[data-sid]")


async def write(page: Page, text: str) -> None:
    await page.locator("#text").fill(text)
    await page.locator("#text").press("Enter")
    await expect(mine(page).last).to_contain_text(text)


async def answers(page: Page, count: int) -> None:
    """Exactly so many bubbles of Hilo's, the newest shown."""
    await expect(theirs(page)).to_have_count(count, timeout=SLOW_MS)
    await expect(theirs(page).last).to_be_in_viewport()


async def send_form(page: Page, opens: str, form: str, **fields: str) -> None:
    if opens != "call-open":
        await page.locator("#attach-open").click()
    await page.locator(f"#{opens}").click()
    for name, value in fields.items():
        await page.locator(f"#{form} [name={name}]").fill(value)
    await page.locator(f"#{form} [type=submit]").click()
    await expect(page.locator(f"#{form}")).to_be_hidden()


@pytest.fixture(scope="module")
async def layout(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Layout]:
    """One sandbox for all; each test has a client of its own."""
    async with sandbox(tmp_path_factory.mktemp("sandbox") / "state.json") as (process, layout):
        yield layout
        assert process.returncode is None


async def test_a_developer_plays_the_client(layout: Layout, pages: Pages) -> None:
    desk = await pages.open(layout.url("phone"))
    await _nobody_yet(desk)
    await _call(desk)
    await _chat(desk.page)
    await _burst_and_voice(desk)
    await _killed(desk)
    await _restarted(desk.page)
    await _a_day_later(desk)
    await _other_looks(pages, layout.url("phone"))


async def test_client_and_operator_meet(layout: Layout, pages: Pages) -> None:
    """Call, greeting, chat, burst, take over, say, hand back; then a dead letter, put back."""
    client = await pages.open(layout.url("phone"))
    await _called(client.page)
    await write(client.page, "Hola, ¿de qué hablamos en la llamada?")
    await answers(client.page, 2)
    await send_form(client.page, "attach-burst", "burst-form", lines="Una cosa\nme gusta el té\ny el café")
    await answers(client.page, 3)
    operator = await _logged_in(pages, layout)
    await _taken_over(operator, client)
    await _said(operator, client)
    await _handed_back(operator, client)
    await _put_back(operator, layout)


async def _nobody_yet(desk: Watched) -> None:
    await expect(desk.page.locator(".person")).to_have_count(4)
    await expect(desk.page.locator("#no-chat")).to_be_visible()
    await expect(desk.page.locator("#link")).to_be_hidden()
    await desk.is_accessible()
    await desk.shot("phone-1-start")


async def _call(desk: Watched) -> None:
    page = desk.page
    await page.locator(".person", has_text=NAME).click()
    await expect(page.locator("#empty-chat")).to_be_visible()
    await page.locator("#call-open").click()
    await desk.is_accessible()
    await desk.shot("phone-2-call")
    await expect(page.locator("#call-form [name=client_name]")).to_have_value(NAME)
    await page.locator("#call-form [name=summary]").fill(SUMMARY)
    await page.locator("#call-form [name=language]").select_option("es")
    await page.locator("#call-form [type=submit]").click()
    await answers(page, 1)
    await expect(theirs(page).locator(".said")).to_have_text(GREETING, use_inner_text=True)


async def _chat(page: Page) -> None:
    await write(page, QUESTION)
    await answers(page, 2)
    await expect(theirs(page).last).to_contain_text("martes a las diez")
    await expect(mine(page).first).to_have_attribute("data-tick", "read")
    await write(page, "<script>document.title = 'broken'</script>")
    await answers(page, 3)
    await expect(mine(page).last.locator(".said")).to_have_text("<script>document.title = 'broken'</script>")
    assert await page.title() == "Hilo · phone"


async def _burst_and_voice(desk: Watched) -> None:
    page = desk.page
    await send_form(page, "attach-burst", "burst-form", lines="Una cosa más\nme gusta el té\ny el café")
    await expect(mine(page)).to_have_count(5)
    await answers(page, 4)
    await send_form(page, "attach-voice", "voice-form", says=QUESTION)
    await expect(mine(page).last.locator("audio")).to_be_visible()
    # The burst got one answer: this is the next one, and it answers what the voice note says.
    await answers(page, 5)
    await expect(theirs(page).last).to_contain_text("martes a las diez")
    await desk.is_accessible()
    await desk.shot("phone-3-chat")


async def _killed(desk: Watched) -> None:
    page = desk.page
    processor = page.locator("#lives [data-part=processor]")
    await processor.get_by_role("button").click()
    await expect(processor).to_have_attribute("data-state", "down")
    await write(page, "¿Sigues ahí?")
    await desk.shot("phone-4-killed")
    await expect(processor).to_have_attribute("data-state", "up", timeout=SLOW_MS)
    await expect(processor.locator(".state")).to_have_text(re.compile(r"back after [\d.]+ s"))
    await answers(page, 6)


async def _restarted(page: Page) -> None:
    """The store away, then Kafka: the sandbox goes on, and what is written meanwhile is answered once."""
    await page.locator("[data-trouble=callbacks_twice]").click()
    await expect(page.locator("[data-trouble=callbacks_twice]")).to_have_attribute("aria-checked", "true")
    await _restart(page, "mongo", meanwhile="¿Y ahora?")
    await answers(page, 7)
    await page.locator("#all-well").click()
    await expect(page.locator("[role=switch][aria-checked=true]")).to_have_count(0)
    # Nothing is written here: Twilio repeats a webhook for less time than Kafka may be away.
    await _restart(page, "kafka")


async def _restart(page: Page, part: str, meanwhile: str | None = None) -> None:
    row = page.locator(f"#lives [data-part={part}]")
    await row.get_by_role("button").click()
    await expect(row).to_have_attribute("data-state", "down")
    if meanwhile:
        await write(page, meanwhile)
    await expect(row).to_have_attribute("data-state", "up", timeout=SLOW_MS)


async def _a_day_later(desk: Watched) -> None:
    page = desk.page
    await page.locator("#forward-day").click()
    await expect(page.locator("#ahead")).to_contain_text("1 d")
    await expect(page.locator("#bubbles .day")).to_have_text("Yesterday")
    await page.locator("#tab-notices").click()
    newest = page.locator("#notice-list [data-notice=conversation-closed]", has_text=NAME).first
    await expect(newest).to_be_visible(timeout=SLOW_MS)
    await newest.locator("summary").click()
    await desk.is_accessible()
    await desk.shot("phone-5-notices")


async def _other_looks(pages: Pages, url: str) -> None:
    dark = await pages.open(url, dark=True, language="es")
    await expect(dark.page.locator("#people-title")).to_have_text("Clientes")
    await dark.page.locator(".person", has_text=NAME).click()
    await expect(theirs(dark.page)).to_have_count(7)
    await dark.is_accessible()
    await dark.shot("phone-6-dark")
    small = await pages.open(url, phone=True)
    await expect(small.page.locator("#chat")).to_be_hidden()
    await small.page.locator(".person", has_text=NAME).click()
    await expect(theirs(small.page).last).to_be_in_viewport()
    await expect(small.page.locator("#people")).to_be_hidden()
    await small.is_accessible()
    await small.shot("phone-7-small")
    await small.page.locator("#chat-back").click()
    await small.page.locator("[data-go=world]").click()
    await expect(small.page.locator("#clock")).to_be_in_viewport()
    await small.is_accessible()
    await small.shot("phone-8-small-world")


async def _called(page: Page) -> None:
    await page.locator(".person", has_text=OTHER).click()
    await page.locator("#call-open").click()
    await page.locator("#call-form [name=summary]").fill(SUMMARY)
    await page.locator("#call-form [type=submit]").click()
    await answers(page, 1)


async def _logged_in(pages: Pages, layout: Layout) -> Watched:
    operator = await pages.open(layout.url("console"))
    await operator.page.fill("#name", OPERATOR)
    await operator.page.fill("#token", layout.console_token)
    await operator.page.press("#token", "Enter")
    await operator.page.locator(".entry a", has_text=OTHER).click()
    await expect(operator.page.locator("#timeline .bubble").last).to_be_visible()
    return operator


async def _taken_over(operator: Watched, client: Watched) -> None:
    await operator.page.locator("#takeover").click()
    await expect(operator.page.locator('.ask[data-what="takeover"]')).to_have_attribute(
        "data-state", "done", timeout=SLOW_MS
    )
    await write(client.page, "¿Hay alguien ahí?")
    await expect(operator.page.locator("#timeline .bubble").last).to_contain_text("¿Hay alguien ahí?")
    await expect(operator.page.locator("#list-waiting .entry", has_text=OTHER)).to_be_visible(timeout=SLOW_MS)
    await operator.shot("story-1-taken-over")


async def _said(operator: Watched, client: Watched) -> None:
    await operator.page.fill("#reply", "Soy Marta, dime")
    await operator.page.locator("#say").click()
    await answers(client.page, 4)
    await expect(theirs(client.page).last).to_contain_text("Soy Marta, dime")
    await expect(operator.page.locator(".bubble.operator")).to_have_attribute("data-mark", "read", timeout=SLOW_MS)
    await operator.is_accessible()
    await operator.shot("story-2-said")


async def _handed_back(operator: Watched, client: Watched) -> None:
    await write(client.page, "¿Y mi cita?")
    await expect(operator.page.locator("#timeline .bubble").last).to_contain_text("¿Y mi cita?")
    await operator.page.locator("#handback").click()
    await expect(operator.page.locator('.ask[data-what="handback"]')).to_have_attribute(
        "data-state", "done", timeout=SLOW_MS
    )
    await answers(client.page, 5)
    await expect(operator.page.locator("#chat-status")).to_have_attribute("data-status", "active")
    await client.shot("story-3-handed-back")


async def _put_back(operator: Watched, layout: Layout) -> None:
    page = operator.page
    async with httpx.AsyncClient(trust_env=False) as http:
        (await http.post(f"{layout.url('backend')}/calls", json={"phoneNumber": "12"})).raise_for_status()
    row = page.locator("#groups tr[data-reason]")

    await page.goto("/letters")
    for _ in range(20):
        if await row.count():
            break
        await page.reload()
    await row.locator(".redrive").first.click()
    await page.locator("#confirm").click()
    await expect(page.locator('#working[data-over="yes"]')).to_contain_text("1 put back.", timeout=SLOW_MS)
    await operator.shot("story-4-put-back")
