"""Wheel and sdist, built reproducibly; with `--install`, tried in an environment of their own.

`make package` runs it with `--install`. The sdist is made from the files that the package needs, the wheel from the
sdist, each twice; both times the bytes have to be equal. `SOURCE_DATE_EPOCH` dates every file in them, else the last
commit does.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

ROOT = Path(__file__).parents[1]
_FILES = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff")
_BUILD = "import sys, setuptools.build_meta as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"
_IN_EMPTY_FOLDER = """
tilewise --version
tilewise --help
tilewise recipes
tilewise grids
tilewise spaces
tilewise doctor
tilewise synth cohort --slides 24 --min-side 384 --quiet
tilewise train cohort --recipe texture --out runs/one --quiet
tilewise train cohort --out runs/two --quiet
tilewise report runs/one
tilewise verify runs/two
tilewise compare runs/one runs/two
tilewise predict runs/two cohort --out submission.csv --quiet
tilewise explain runs/two cohort --out maps --quiet
"""


def build(out: Path) -> tuple[Path, Path]:
    """Build sdist and wheel.

    Args:
        out: folder that they are put into.

    Returns:
        Where the sdist and the wheel lie.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        tree.mkdir()
        for file in _FILES:
            shutil.copyfile(ROOT / file, tree / file)
        shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        _open_to_all(tree)
        made = tree / _run_backend(tree, "build_sdist")
        sdist = out / made.name
        sdist.write_bytes(_dated_alike(made))
        with tarfile.open(sdist) as archive:
            archive.extractall(name, filter="data")
        unpacked = Path(name) / sdist.name.removesuffix(".tar.gz")
        _open_to_all(unpacked)
        built = unpacked / _run_backend(unpacked, "build_wheel")
        wheel = out / built.name
        shutil.copyfile(built, wheel)
    return sdist, wheel


def epoch() -> int:
    """Seconds since 1970 that date every file."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else 315_532_800  # 1980, the first year of ZIP


def _run_backend(tree: Path, function: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, function, "."],
        cwd=tree,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch())},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{function} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.split()[-1]


def _open_to_all(tree: Path) -> None:
    """Rights that do not depend on the umask of whoever cloned the repository."""
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _dated_alike(sdist: Path) -> bytes:
    """The archive with its members in order and of one date and owner, which setuptools does not see to."""
    packed = io.BytesIO()
    with (
        tarfile.open(sdist) as source,
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=epoch()) as stream,
        tarfile.open(mode="w", fileobj=stream, format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch(), 0, 0, "", ""
            member.mode, member.pax_headers = 0o755 if member.isdir() else 0o644, {}
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
    return packed.getvalue()


def main() -> None:
    """Build twice, compare, and with `--install` try the wheel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--install", action="store_true", help="install the wheel alone and run every stage with it")
    arguments = parser.parse_args()
    sdist, wheel = build(arguments.out)
    with tempfile.TemporaryDirectory() as again:
        for first, second in zip((sdist, wheel), build(Path(again)), strict=True):
            if first.read_bytes() != second.read_bytes():
                sys.exit(f"{first.name} differs from one build to the next")
            print(f"{first}: {first.stat().st_size} bytes, twice the same")
    if arguments.install:
        try_wheel(wheel)


def try_wheel(wheel: Path) -> None:
    """Install the wheel into a new environment and do the whole job from an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        environment, folder = Path(name) / "venv", Path(name) / "empty"
        folder.mkdir()
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        scripts = environment / ("Scripts" if os.name == "nt" else "bin")
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        pip = [str(scripts / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-qq", *constraints]
        subprocess.run([*pip, f"{wheel}[serve]"], check=True)
        own = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TILEWISE"))}
        own |= {"TILEWISE_CACHE": str(Path(name) / "cache"), "PATH": f"{scripts}{os.pathsep}{own['PATH']}"}
        for line in _IN_EMPTY_FOLDER.strip().splitlines():
            done = subprocess.run(line.split(), cwd=folder, env=own, capture_output=True, text=True, check=False)
            print(f"$ {line}: {done.returncode}")
            if done.returncode:
                sys.exit(f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
        code = "import tilewise; print(tilewise.__file__)"
        place = subprocess.check_output([scripts / "python", "-c", code], cwd=folder, env=own, text=True)
        if not Path(place).is_relative_to(environment):
            sys.exit(f"tilewise was imported from {place}, not from the wheel")
        wanted = ("runs/one/report.html", "runs/two/report.html", "submission.csv", "maps/explain.html")
        missing = [path for path in wanted if not (folder / path).is_file()]
        if missing:
            sys.exit(f"not written: {', '.join(missing)}")
        _look_at_review_page(["tilewise", "serve", "runs/one", "--no-open"], folder, own)


def _look_at_review_page(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Start the service and fetch the page and the viewer it loads."""
    with subprocess.Popen(
        [*command, "--quiet"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            # The address holds a token, and a cookie does from then on.
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            for path in ("", "static/openseadragon.min.js", "static/review.css"):
                with opener.open(urljoin(address, f"/{path}") if path else address, timeout=30) as answer:
                    print(f"GET /{path}: {answer.status}, {len(answer.read())} bytes")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
