"""Bombs, files of two kinds, and clients that are slow: a 4xx, soon, and the service goes on."""

from __future__ import annotations

import io
import socket
import struct
import threading
import time
import zlib

import numpy as np
import pytest
import tifffile
import uvicorn
from PIL import Image

from tests.soak.damage import texture
from tilewise.serving.prediction_api.errors import ServiceError
from tilewise.serving.prediction_api.predict_slide import SlidePredictor
from tilewise.serving.prediction_api.protocol import ImpatientProtocol

pytestmark = [pytest.mark.enable_socket, pytest.mark.shared_cache]


def png(width, height, data=b"", *chunks):
    """A PNG whose header says this size, with the image data as it is given."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def compressed_zeros(num_megabytes):
    """A zlib stream: one compressed megabyte, so many times."""
    compressor = zlib.compressobj(9)
    head = compressor.compress(bytes(1_000_000)) + compressor.flush(zlib.Z_FULL_FLUSH)
    checksum = struct.pack(">HH", num_megabytes * 1_000_000 % 65_521, 1)  # Adler-32 of zeros
    return head + head[2:] * (num_megabytes - 1) + b"\x03\0" + checksum


def text_bomb(num_megabytes):
    """A compressed text chunk that inflates to so many megabytes."""
    body = b"comment\0\0" + compressed_zeros(num_megabytes)
    return struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))


def jpeg(width, height):
    """A JPEG whose frame header says this size."""
    buffer = io.BytesIO()
    Image.fromarray(texture()).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def tiff(width, height, **options):
    """A TIFF of tiny data whose tags say this size."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, texture(), photometric="rgb", **options)
    buffer.seek(0)
    with tifffile.TiffFile(buffer, mode="r+b") as file:
        file.pages[0].tags["ImageWidth"].overwrite(width)
        file.pages[0].tags["ImageLength"].overwrite(height)
    return buffer.getvalue()


def whole_png():
    buffer = io.BytesIO()
    Image.fromarray(texture()).save(buffer, "PNG")
    return buffer.getvalue()


BOMBS = {
    "png header": png(60_000, 60_000),
    "png of zeros": png(10_000, 9_999, compressed_zeros(3)),
    "png that inflates beyond its size": png(64, 48, compressed_zeros(200)),
    "png with no pixels": png(0, 0),
    "jpeg header": jpeg(65_500, 65_500),
    "jpeg of little data": jpeg(5_000, 5_000),
    "tiff tags": tiff(200_000, 200_000),
    "tiff of little data": tiff(9_900, 9_900),
    "tiff of jpeg 2000": tiff(9_900, 9_900, compression="jpeg2000", tile=(16, 16)),
    "tiff tile": tiff(64, 1 << 30),
    "jpeg 2000": b"\xff\x4f\xff\x51" + bytes(500),
    "gif": b"GIF89a" + bytes(500),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "zip": b"PK\x03\x04" + bytes(500),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(500),
    "zeros": bytes(100_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_leaves_the_service_as_it_was(client, name):
    answer = client.post("/v1/predict", files={"image": BOMBS[name]})
    assert answer.status_code in {413, 422}, answer.text
    assert answer.json()["next_step"]
    assert client.get("/readyz").status_code == 200


def test_tiles_that_claim_far_more_pixels_than_they_have_bytes_are_refused_by_the_header(tmp_path):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, texture(), photometric="rgb", tile=(16, 16), compression="jpeg")
    buffer.seek(0)
    with tifffile.TiffFile(buffer, mode="r+b") as file:
        for name in ("ImageWidth", "ImageLength", "TileWidth", "TileLength"):
            tag = file.pages[0].tags[name]
            tag.overwrite(tag.value * 512)
    (tmp_path / "image").write_bytes(buffer.getvalue())
    with pytest.raises(ServiceError) as caught:
        SlidePredictor(None, {}, max_pixels=100_000_000).predict(tmp_path / "image", None, with_map=False)
    assert (caught.value.status, caught.value.code) == (413, "image-too-large")


def test_a_slide_with_more_pixels_than_allowed_is_told_the_limit(client):
    answer = client.post("/v1/predict", files={"image": png(20_000, 20_000)})
    assert (answer.status_code, answer.json()["code"]) == (413, "image-too-large")
    assert "100 megapixels" in answer.json()["message"]
    mask = client.post("/v1/predict", files={"image": whole_png(), "mask": png(20_000, 20_000)})
    assert (mask.status_code, mask.json()["code"]) == (413, "mask-too-large")


def test_a_bomb_in_the_text_of_a_picture_does_no_harm(client):
    data = whole_png()
    bomb = data[:33] + text_bomb(500) + data[33:]
    answer = client.post("/v1/predict", files={"image": bomb})
    assert answer.status_code in {200, 422}
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "tail", [b"<html><script>alert(1)</script></html>", b"PK\x03\x04" + bytes(100), b"<?php ?>", b"%PDF-1.7"]
)
def test_a_file_of_two_kinds_is_the_picture_or_refused_and_never_given_back(client, tail):
    answer = client.post("/v1/predict", files={"image": whole_png() + tail})
    assert answer.status_code in {200, 422}
    assert tail not in answer.content
    if answer.status_code == 200:
        picture = client.get(answer.json()["map"]["url"])
        assert picture.headers["x-content-type-options"] == "nosniff"
        assert tail not in picture.content
    assert client.post("/v1/predict", files={"image": tail + whole_png()}).status_code == 422


def test_a_body_beyond_the_limit_is_refused(client):
    answer = client.post("/v1/predict", files={"image": bytes(8_100_000)})
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")

    def parts():
        for _ in range(20):
            yield bytes(500_000)

    chunked = client.post("/v1/predict", content=parts(), headers={"content-type": "multipart/form-data; boundary=b"})
    assert chunked.status_code in {400, 413}


@pytest.fixture
def impatient():
    """The port of a server that waits for a request's head half a second."""

    class Protocol(ImpatientProtocol):
        head_seconds = 0.5

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Protocol, lifespan="off", log_config=None, timeout_keep_alive=1)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nhost: x", b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET /"])
def test_a_client_that_does_not_finish_its_head_loses_the_connection(impatient, first):
    with socket.create_connection(("127.0.0.1", impatient), timeout=30) as client:
        client.sendall(first)
        start, received = time.monotonic(), b""
        while part := client.recv(4096):
            received += part
        assert time.monotonic() - start < 20
    assert (b"200 OK" in received) == (b"\r\n\r\n" in first)


def test_a_client_that_finishes_slowly_but_in_time_is_answered(impatient):
    with socket.create_connection(("127.0.0.1", impatient), timeout=30) as client:
        for part in (b"GET / HTTP/1.1\r\n", b"host: x\r\n", b"connection: close\r\n\r\n"):
            client.sendall(part)
            time.sleep(0.01)
        assert b"200 OK" in client.recv(4096)


def test_a_picture_of_noise_needs_no_more_than_its_own_pixels(client):
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG", compress_level=0)
    assert client.post("/v1/predict", files={"image": buffer.getvalue()}).status_code in {200, 422}
