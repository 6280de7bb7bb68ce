"""Calls, trouble, services and time: the buttons, and what the page is told of them."""

from kit.clock import FileClock, SystemClock
from sandbox.phone.trouble import TROUBLES
from tests.contracts.sandbox_phone.conftest import Scene, listening

LUCIA, CARLOS = "whatsapp:+34611020304", "whatsapp:+525512345678"


async def test_a_call_ends(scene: Scene) -> None:
    call = {"contact": CARLOS, "client_name": "Carlos", "summary": "su cita", "agent": "agent_x", "language": "es"}
    assert (await scene.post("calls", **call)).status_code == 201
    told = scene.backend.calls[0]
    assert told.pop("conversationId").startswith("conv_call_")
    assert told == {
        "phoneNumber": "+5215512345678",
        "clientName": "Carlos",
        "callSummary": "su cita",
        "agentId": "agent_x",
        "language": "es",
    }
    await scene.post("calls", contact=LUCIA)
    assert set(scene.backend.calls[1]) == {"phoneNumber", "conversationId"}


async def test_nobody_calls_a_person_without_a_number(scene: Scene) -> None:
    address = (await scene.post("contacts", name="Sombra", hidden=True)).json()["address"]
    assert (await scene.post("calls", contact=address)).status_code == 422
    assert scene.backend.calls == []


async def test_notices_come_newest_first(scene: Scene) -> None:
    async with listening(scene) as page:
        scene.backend.notices += [{"n": n, "type": f"hilo.no-{n}.v1", "data": {}} for n in (1, 2)]
        await page.has("notice", lambda told: told["n"] == 2)
        scene.backend.notices.append({"n": 3, "type": "hilo.no-3.v1", "data": {}})
        await page.has("notice", lambda told: told["n"] == 3)
    assert [one["n"] for one in (await scene.state())["notices"]] == [3, 2, 1]


def faults(scene: Scene) -> int:
    return len(scene.twilio.account.rules.stories()) + len(scene.agent.world.faults.faults)


async def test_every_trouble_begins_and_ends(scene: Scene) -> None:
    for trouble in TROUBLES:
        for _ in range(2):  # a second press changes nothing
            told = (await scene.post("trouble", key=trouble.key, on=True)).json()
            assert [one["key"] for one in told if one["on"]] == [trouble.key]
            assert faults(scene) == len(trouble.faults)
        for _ in range(2):
            told = (await scene.post("trouble", key=trouble.key, on=False)).json()
            assert not any(one["on"] for one in told)
            assert faults(scene) == 0
    assert (await scene.post("trouble", key="earthquake", on=True)).status_code == 404


async def test_all_is_well_again(scene: Scene) -> None:
    scene.twilio.fault("drop", kind="inbound")  # somebody else's
    async with listening(scene) as page:
        for key in ("agent_down", "twilio_500"):
            await scene.post("trouble", key=key, on=True)
        assert faults(scene) == 4
        await page.has("troubles", lambda told: sum(one["on"] for one in told) == 2)
        await scene.post("well")
        assert faults(scene) == 0
        await page.has("troubles", lambda told: told is page.of("troubles")[-1] and not any(one["on"] for one in told))


async def test_a_simulator_that_started_over_has_no_trouble(scene: Scene) -> None:
    for key in ("agent_down", "twilio_500"):
        await scene.post("trouble", key=key, on=True)
    async with listening(scene) as page:
        scene.twilio.say(LUCIA, "hola")
        await page.has("bubble")
        await scene.twilio.reset()
        told = await page.has("troubles")
        assert [one["key"] for one in told if one["on"]] == ["agent_down"]


async def test_a_simulator_that_was_started_again_has_no_trouble(scene: Scene) -> None:
    for key in ("agent_down", "twilio_500"):
        await scene.post("trouble", key=key, on=True)
    scene.machine.lives.rose("elevenlabs")
    assert [one["key"] for one in (await scene.state())["troubles"] if one["on"]] == ["twilio_500"]


async def test_services_die_and_servers_restart(scene: Scene) -> None:
    async with listening(scene) as page:
        assert (await scene.post("kill", part="processor")).status_code == 202
        assert (await scene.post("restart", part="kafka")).status_code == 202
        await page.has("life", lambda told: told["part"] == "kafka" and told["state"] == "down")
        back = await page.has("life", lambda told: told["state"] == "up")
        assert back["away_s"] is not None
    assert (scene.machine.killed, scene.machine.restarted) == (["processor"], ["kafka"])
    for path, part in (("kill", "kafka"), ("kill", "../x"), ("restart", "processor"), ("restart", "mongo")):
        assert (await scene.post(path, part=part)).status_code == 404
    assert (scene.machine.killed, scene.machine.restarted) == (["processor"], ["kafka"])


async def test_time_goes_forward_for_everybody_and_never_back(scene: Scene) -> None:
    async with listening(scene) as page:
        assert (await scene.post("clock", seconds=86_400)).json()["ahead_s"] == 86_400
        assert (await page.has("clock"))["ahead_s"] == 86_400
        ahead = FileClock(scene.phone.layout.clock_file).now() - SystemClock().now()
        assert round(ahead.total_seconds()) == 86_400
        for seconds in (0, -3600):
            refused = await scene.post("clock", seconds=seconds)
            assert (refused.status_code, "only goes forward" in refused.text) == (422, True)
        scene.phone.layout.clock_file.write_text("90000")  # the demo's hand
        await page.has("clock", lambda told: told["ahead_s"] == 90_000)
