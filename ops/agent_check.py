"""Does ElevenLabs let us in, and is the agent set up for a chat? What `hilo doctor` asks of it."""

from typing import Any

from kit.errors import NoAnswer
from kit.http import Answer, PooledClient
from kit.kafka.topics import Finding
from ops.agent_preflight import preflight
from ops.settings import OpsSettings

__all__ = ["check_agent"]

SUBJECT = "ElevenLabs"
REMEDIES = {
    **dict.fromkeys((401, 403), "check ELEVENLABS_API_KEY"),
    **dict.fromkeys((400, 404, 422), "check DEFAULT_AGENT_ID"),
}


async def check_agent(settings: OpsSettings) -> list[Finding]:
    """Never raises for what ElevenLabs does. Opens no conversation: that would be billed."""
    if not settings.default_agent_id:
        return [Finding(SUBJECT, "fail", "DEFAULT_AGENT_ID is missing", "see .env.example")]
    http = PooledClient(concurrency=1)
    try:
        return await _findings(settings, http)
    except NoAnswer as error:
        return [Finding(SUBJECT, "fail", str(error), "ELEVENLABS_BASE_URL?")]
    finally:
        await http.stop()


async def _findings(settings: OpsSettings, http: PooledClient) -> list[Finding]:
    agent_id = settings.default_agent_id
    response = await _get(settings, http, f"agents/{agent_id}")
    if not response.ok:
        return [Finding(SUBJECT, "fail", f"HTTP {response.status}", REMEDIES.get(response.status, "try again later"))]
    found = [Finding(SUBJECT, "ok", f"agent {agent_id} is there"), *preflight(_object(response))]
    if settings.elevenlabs_auth == "signed_url":
        signed = await _get(settings, http, "conversation/get-signed-url", agent_id=agent_id)
        if not signed.ok or "signed_url" not in _object(signed):
            remedy = "let the key talk to agents, or set ELEVENLABS_AUTH=api_key"
            found.append(Finding(SUBJECT, "fail", f"no signed URL: HTTP {signed.status}", remedy))
    return found


async def _get(settings: OpsSettings, http: PooledClient, path: str, **params: str) -> Answer:
    headers = {"xi-api-key": settings.elevenlabs_api_key.get_secret_value()}
    return await http.request("GET", f"{settings.elevenlabs_base_url}/v1/convai/{path}", params=params, headers=headers)


def _object(response: Answer) -> dict[str, Any]:
    """Empty for what is no JSON object: then nothing is allowed in it."""
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
