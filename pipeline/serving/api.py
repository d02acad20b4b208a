"""What programs ask: a photograph in, the coloured one out; which models there are; whether all is well."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from pipeline.colouring.destinations import FORMATS
from pipeline.colourise import SIZE, STRONGEST
from pipeline.serving import files, manual, refusals
from pipeline.serving.files import Files
from pipeline.serving.middleware import COLOURISE, HEALTH, MANUAL, MODELS, SCHEMA
from pipeline.serving.service import MEGABYTES, SIZES, Service
from pipeline.system.errors import PipelineError, printable

VERSION = "1"  # of what programs can rely on
SMALLEST = 16  # pixels of the shorter side of what a network sees, at least
TOLD = "colourgan-told"  # the header that says what a result does not hold of the photograph
LONGEST = 2000  # letters of it
SAID = 80  # letters of a value that is not allowed
TYPES = {suffix: f"image/{kind.lower()}" for suffix, kind in FORMATS.items()}
ABOUT = (
    "Colours for black-and-white photographs. A refusal is a line of text that says what was given, what is allowed, "
    "and the way out. No address that is sent is ever fetched."
)
NAMES, WELL = "Their names; the default is chosen where none is named.", "It is."
REFUSED = {
    400: "There is no photograph in the form, or the upload broke off.",
    403: "A page of another site asks this.",
    408: "The upload is too slow.",
    411: "The request does not say how long it is.",
    413: f"More than {MEGABYTES} MB.",
    415: "Not a picture, or one of a kind that is not read.",
    421: "There is no page of that name here.",
    422: "A broken picture, or one that takes too long or too much memory; or a parameter that is not allowed.",
    429: "Too many photographs wait, most of them from this address.",
    500: "Something went wrong here.",
    503: "Too many photographs arrive, or there is no room for more; come back in a minute.",
}
FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
FORM = {"type": "object", "properties": {"file": FILE}, "required": ["file"], "additionalProperties": False}
BODY = {
    "description": "The photograph: the file of a form, or the bytes alone.",
    "required": True,
    "content": {"multipart/form-data": {"schema": FORM}, "application/octet-stream": {"schema": {}}},
}


class Models(BaseModel):
    """Names of what there is to choose from; the default is chosen where none is named."""

    default: str
    models: list[str]


class Health(BaseModel):
    """That requests are answered."""

    status: Literal["ok"] = "ok"


def make(service: Service, taking: Files, root: str) -> FastAPI:
    """What answers programs, and takes and gives out the files of the page.

    Args:
        service: where photographs are painted.
        taking: what takes uploads.
        root: the path below which all is; see `middleware.root`.
    """
    Model: Any = Literal[tuple(service.models)]

    class Wish(BaseModel):
        model_config = ConfigDict(extra="forbid")

        model: Annotated[Model, Field(description="The network.")] = service.models[0]
        size: Annotated[
            int, Field(ge=SMALLEST, le=SIZES[-1], description="Pixels of the shorter side of what the network sees.")
        ] = SIZE
        strength: Annotated[
            float, Field(ge=0, le=STRONGEST, description="Of the colours: 0 is grey, 1 is the network's.")
        ] = 1

    handlers: dict[Any, Any] = {
        HTTPException: _said,
        RequestValidationError: _not_allowed,
        PipelineError: _refused,
    }
    api = FastAPI(
        title="ColourGAN",
        version=VERSION,
        description=ABOUT,
        servers=[{"url": root}] if root else None,
        routes=[*taking.routes],
        openapi_url=SCHEMA,
        docs_url=None,  # whose scripts come from elsewhere
        redoc_url=None,
        exception_handlers=handlers,
    )

    @api.post(
        COLOURISE,
        summary="Colour a photograph",
        response_class=FileResponse,
        responses=_answers(*REFUSED) | {200: _pictures()},
        openapi_extra={"requestBody": BODY},
    )
    async def colourise(request: Request, wish: Annotated[Wish, Query()]) -> Response:
        """The photograph at its full size, as JPEG, PNG, WebP or TIFF if it is one of these, or else as PNG."""
        host = files.host(request)
        folder, visitor = service.uploads.new(host), secrets.token_hex(16)
        delete = partial(service.uploads.delete, folder)
        try:
            file = await taking.take(request, folder)
            async with _awaited(request, partial(service.leave, visitor)):
                painted = await service.paint(host, visitor, file, folder, shown=False, **wish.model_dump())
        except BaseException:
            delete()
            raise
        result = Path(painted["result"])
        told = printable(painted["told"]).encode("ascii", "backslashreplace").decode()[:LONGEST]
        return FileResponse(
            result,
            media_type=TYPES[result.suffix.lower()],
            filename=result.name,
            headers={"cache-control": "no-store"} | ({TOLD: told} if told else {}),
            background=BackgroundTask(delete),
        )

    @api.head(MODELS, include_in_schema=False)
    @api.get(MODELS, summary="Which models there are", response_description=NAMES, responses=_answers(403, 421))
    async def models() -> Models:
        """Which models there are to choose from."""
        return Models(default=service.models[0], models=service.models)

    @api.head(HEALTH, include_in_schema=False)
    @api.get(HEALTH, summary="Whether all is well", response_description=WELL, responses=_answers(403, 421))
    async def health() -> Health:
        """Whether all is well."""
        return Health()

    @api.api_route(MANUAL, methods=["GET", "HEAD"], include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(manual.page(api.openapi()))

    return api


def _answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals, as OpenAPI has them."""
    line = {"text/plain": {"schema": {"type": "string"}}}
    return {status: {"description": REFUSED[status], "content": line} for status in statuses}


def _pictures() -> dict[str, Any]:
    return {
        "description": "The coloured photograph.",
        "content": {kind: {"schema": {}} for kind in sorted(set(TYPES.values()))},
        "headers": {
            TOLD: {"description": "What the result does not hold of the photograph.", "schema": {"type": "string"}}
        },
    }


@asynccontextmanager
async def _awaited(request: Request, left: Callable[[], None]) -> AsyncIterator[None]:
    """While an answer is made; `left` is called if nobody waits for it any longer."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


def _said(_: Request, error: HTTPException) -> Response:
    return PlainTextResponse(error.detail, error.status_code, error.headers)


def _refused(_: Request, error: PipelineError) -> Response:
    return PlainTextResponse(refusals.sentence(error), refusals.status(error))


def _not_allowed(_: Request, error: RequestValidationError) -> Response:
    found = error.errors()[0]
    name, given = printable(found["loc"][-1])[:SAID], printable(found.get("input"))[:SAID]
    return PlainTextResponse(f"{name}: given {given}: {found['msg']}; what is allowed is at {MANUAL}.", 422)
