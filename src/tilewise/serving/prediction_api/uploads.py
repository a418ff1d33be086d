"""Images of a form, put into folders of our own under names of our own."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tilewise.serving.prediction_api.errors import ServiceError

_SEND: Final = "send multipart/form-data, as in curl -F image=@slide.png"


@dataclass(frozen=True)
class Upload:
    """One image, with its mask if there is one, as files `image` and `mask` of a folder."""

    folder: Path
    has_mask: bool


@contextlib.asynccontextmanager
async def receive_images(
    request: Request, place: Path, *, image: str, mask: str, most: int
) -> AsyncIterator[list[Upload]]:
    """Receive the images of a form; their folders are removed at the end of the block.

    No name in the request has a part in where they lie.

    Args:
        request: with the form.
        place: folder for the folders.
        image: the form's field of images.
        mask: the field of masks; there may be none, or one for each image.
        most: images at most.

    Raises:
        ServiceError: it is no form, or has other fields, or too many or too few.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ServiceError(415, "not-a-form", "the body is not multipart/form-data", _SEND)
    folders: list[Path] = []
    try:
        async with _form(request, most) as form:
            images, masks = _files(form, image, mask, most)
            folders = [Path(tempfile.mkdtemp(dir=place)) for _ in images]
            for number, folder in enumerate(folders):
                await asyncio.to_thread(_write, images[number], folder / "image")
                if masks:
                    await asyncio.to_thread(_write, masks[number], folder / "mask")
        yield [Upload(folder, bool(masks)) for folder in folders]
    finally:
        for folder in folders:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def _form(request: Request, most: int) -> AsyncIterator[FormData]:
    try:
        form = await request.form(max_files=2 * most, max_fields=1)
    except HTTPException as error:
        raise ServiceError(400, "bad-form", f"the form cannot be read: {error.detail}", _SEND) from error
    except ClientDisconnect as error:  # nobody reads this answer
        raise ServiceError(400, "client-left", "the connection ended before the body did", "send it again") from error
    try:
        yield form
    finally:
        await form.close()


def _files(form: FormData, image: str, mask: str, most: int) -> tuple[Sequence[UploadFile], Sequence[UploadFile]]:
    others = form.keys() - {image, mask}
    if others:
        name = min(others)[:40]
        raise ServiceError(400, "bad-form", f"the form has a field {name!r}", f"send {image!r}, and {mask!r} if any")
    images, masks = form.getlist(image), form.getlist(mask)
    files = [part for part in (*images, *masks) if isinstance(part, UploadFile)]
    if len(files) < len(images) + len(masks):
        raise ServiceError(400, "bad-form", "an image is sent as text, not as a file", _SEND)
    if not images:
        raise ServiceError(400, "bad-form", f"the form has no file {image!r}", _SEND)
    if len(images) > most:
        raise ServiceError(
            400, "bad-form", f"the form has {len(images)} files {image!r}, more than {most}", "send fewer at a time"
        )
    if masks and len(masks) != len(images):
        raise ServiceError(
            400,
            "bad-form",
            f"{len(images)} files {image!r} came with {len(masks)} files {mask!r}",
            "send a mask for every image in the same order, or none",
        )
    return files[: len(images)], files[len(images) :]


def _write(part: UploadFile, path: Path) -> None:
    part.file.seek(0)
    with path.open("xb") as stream:
        shutil.copyfileobj(part.file, stream, 1 << 20)
