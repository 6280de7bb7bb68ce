"""`POST /v1/speech-to-text`: a form with a file in, what it says out."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox.elevenlabs.multipart import Field, parse_form
from sandbox.elevenlabs.rest_door import RestDoor
from sandbox.elevenlabs.rest_errors import problem
from sandbox.elevenlabs.transcription import MODELS, as_json
from sandbox.elevenlabs.world import World

__all__ = ["build_speech"]


def build_speech(world: World) -> APIRouter:
    """The router, to be included at the root."""
    router, door = APIRouter(prefix="/v1"), RestDoor(world)

    @router.post("/speech-to-text", response_model=None)
    async def convert(request: Request) -> Response | dict[str, Any]:
        form = _form(request.headers.get("content-type", ""), await request.body())
        instead = await door.enter(request, "speech")
        if instead:
            return instead
        file = _checked(form)
        world.stats.counts["transcriptions"] += 1
        language = form["language_code"].text if "language_code" in form else None
        return as_json(world.recordings.hear(file.data), world.new_id("transcript"), language)

    return router


def _form(content_type: str, body: bytes) -> dict[str, Field]:
    """Empty for what is no form: then what must be there is missing."""
    try:
        return parse_form(content_type, body)
    except ValueError:
        return {}


def _checked(form: dict[str, Field]) -> Field:
    model, file = form.get("model_id"), form.get("file")
    if model is None:
        raise problem(422, "missing_field", "model_id is required")
    if model.text not in MODELS:
        raise problem(400, "unsupported_model", f"model {model.text} cannot transcribe")
    if file is None or file.filename is None:
        raise problem(400, "invalid_parameters", "exactly one of file or source_url must be provided")
    if not file.data:
        raise problem(400, "empty_file", "the file is empty")
    return file
