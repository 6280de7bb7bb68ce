"""The other arm of `ingress_vs_bare`: the handler of every tutorial. It keeps nothing and publishes nothing."""

import sys
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request, Response
from twilio.request_validator import RequestValidator

from tests.bench.webhooks import PUBLIC, TOKEN

app = FastAPI()
validator = RequestValidator(TOKEN)


@app.post("/webhook/twilio/incoming")
async def incoming(request: Request, x_twilio_signature: Annotated[str, Header()] = "") -> Response:
    form = await request.form()
    if not validator.validate(f"{PUBLIC}{request.url.path}", form, x_twilio_signature):
        raise HTTPException(403)
    return Response("<Response/>", media_type="text/xml")


if __name__ == "__main__":
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    uvicorn.run("tests.bench.bare_webhook:app", port=port, workers=workers, access_log=False, log_level="warning")
