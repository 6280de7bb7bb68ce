"""What one writes in an afternoon: stock FastStream, one record of a partition after the other, asked and posted.

No store, no deduplication, no order across retries, no status: the least that answers a client at all. It reads the
same topic from the same ingress, and speaks to the same agent and the same Twilio.
"""

import asyncio
import json
import os
import sys
from typing import Any
from urllib.parse import quote

import httpx
import uvloop
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from websockets.asyncio.client import connect

PARTITIONS = 24
FIRST = {
    "type": "conversation_initiation_client_data",
    "conversation_config_override": {"conversation": {"text_only": True}, "agent": {"first_message": ""}},
}


async def asked(text: str) -> str:
    """A socket for each question: the plain way has nowhere to keep one."""
    base = os.environ["ELEVENLABS_BASE_URL"].replace("http", "ws", 1)
    url = f"{base}/v1/convai/conversation?agent_id={quote(os.environ['DEFAULT_AGENT_ID'])}"
    async with connect(url, additional_headers={"xi-api-key": os.environ["ELEVENLABS_API_KEY"]}) as socket:
        await socket.send(json.dumps(FIRST))
        await socket.send(json.dumps({"type": "user_message", "text": text}))
        async for frame in socket:
            told = json.loads(frame)
            if told["type"] == "ping":
                await socket.send(json.dumps({"type": "pong", "event_id": told["ping_event"]["event_id"]}))
            elif told["type"] == "agent_response" and told["agent_response_event"]["agent_response"]:
                return str(told["agent_response_event"]["agent_response"])
    raise ConnectionError("the agent's socket ended without an answer")


async def main() -> None:
    broker = KafkaBroker(os.environ["KAFKA_BOOTSTRAP_SERVERS"], logger=None)
    account = os.environ["TWILIO_ACCOUNT_SID"]
    http = httpx.AsyncClient(
        base_url=os.environ["TWILIO_BASE_URL"], auth=(account, os.environ["TWILIO_AUTH_TOKEN"]), trust_env=False
    )

    @broker.subscriber(
        "contact.log",
        group_id="plain",
        max_workers=PARTITIONS,
        ack_policy=AckPolicy.ACK,
        auto_offset_reset="earliest",
    )
    async def handle(body: dict[str, Any]) -> None:
        form = {
            "To": f"whatsapp:{body['address']}",
            "From": f"whatsapp:{body['channel']}",
            "Body": await asked(body["text"]),
            "StatusCallback": f"{os.environ['PUBLIC_BASE_URL']}/webhook/twilio/status",
        }
        (await http.post(f"/2010-04-01/Accounts/{account}/Messages.json", data=form)).raise_for_status()

    await broker.start()
    print("ready", flush=True)  # noqa: T201
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
