"""How fast tiles of a large slide are served to the review page: JPEG as it came, and PNG made of it.

Times are those of whole HTTP requests on the loopback address, one after the other and eight at once, in an order that
is shuffled. The first request of a flat slide cuts it into tiles; that is timed by itself, with an empty cache.
"""

import os
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI, Response

from tilewise.serving.review.deep_zoom import DeepZoom
from tilewise.serving.review.tile_pack import TILE_PX, level_sizes

_NUM_REQUESTS = 400


def serve(zoom: DeepZoom) -> tuple[uvicorn.Server, int]:
    app = FastAPI()

    @app.get("/{level}/{column}/{row}")
    def tile(level: int, column: int, row: int) -> Response:
        return Response(zoom.slide(0).tile(level, column, row), media_type="image/jpeg")

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server, server.servers[0].sockets[0].getsockname()[1]


def timed(address: str) -> float:
    start = time.perf_counter()
    with urllib.request.urlopen(address) as answer:
        answer.read()
    return (time.perf_counter() - start) * 1000


def measure(name: str, path: Path) -> None:
    zoom = DeepZoom([path], max_pixels=400_000_000)
    start = time.perf_counter()
    sizes = level_sizes(zoom.slide(0).size)
    seconds = time.perf_counter() - start
    server, port = serve(zoom)
    tiles = [
        f"http://127.0.0.1:{port}/{level}/{column}/{row}"
        for level, size in enumerate(sizes)
        for column in range(-(-size.width // TILE_PX))
        for row in range(-(-size.height // TILE_PX))
    ]
    chosen = np.random.default_rng(0).choice(tiles, _NUM_REQUESTS)
    for num_at_once in (1, 8):
        with ThreadPoolExecutor(num_at_once) as pool:
            times = list(pool.map(timed, chosen))
        median, p95, worst = np.percentile(times, [50, 95, 100])
        print(f"| {name} | {seconds:.1f} | {num_at_once} | {median:.1f} | {p95:.1f} | {worst:.1f} |", flush=True)
    server.should_exit = True


def main() -> None:
    source = next(Path(os.environ.get("TILEWISE_DATA", "../shared/data"), "her2st_slides", "images").glob("*.jpg"))
    print(f"{source.name}, {_NUM_REQUESTS} requests\n")
    print("| slide | cut s | at once | median ms | 95 % ms | worst ms |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TILEWISE_CACHE"] = f"{folder}/cache"
        png = Path(folder, "slide.png")
        cv2.imwrite(str(png), cv2.imread(str(source)), [cv2.IMWRITE_PNG_COMPRESSION, 3])
        measure("JPEG", source)
        measure("PNG", png)


if __name__ == "__main__":
    main()
