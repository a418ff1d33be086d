"""`tilewise features`: features of other programs in, and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tilewise.cli.options import EXIT_FAILED, JsonOption, QuietOption

if TYPE_CHECKING:
    from tilewise.interchange.convert import ConvertedFeatures

app = typer.Typer(
    help="Read features that TRIDENT, CLAM, STAMP or torchmil keep, and write theirs.",
    epilog="Example: tilewise features import job/20x_256px_0px_overlap/features_uni_v1 --out features",
    no_args_is_help=True,
)
FolderArgument = Annotated[Path, typer.Argument(metavar="FEATURES", help="Folder of features; known by what it holds.")]
OutOption = Annotated[Path, typer.Option("--out", help="New or empty folder for the files.")]
# As `interchange.folder` has them, which comes with NumPy.
ReadFormat = Literal["trident", "clam", "stamp", "torchmil"]
WriteFormat = Literal["trident", "clam", "stamp", "torchmil", "hs2p"]


@app.command("import", epilog="Example: tilewise features import clam/features --format clam --out features")
def import_(
    folder: FolderArgument,
    out: OutOption,
    format_: Annotated[
        ReadFormat | None, typer.Option("--format", help="Where the folder holds several; else it is recognised.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Copy features with every fact of their files into files of tilewise, from which they can be written again."""
    from tilewise import api
    from tilewise.cli.console import progress

    with progress(quiet=quiet):
        result = api.import_features(folder, out, format_)
    return _finish(result, out, as_json=as_json)


@app.command(
    epilog="Examples:\n\ntilewise features export features --format stamp --mpp 0.5 --encoder uni --out uni\n\n"
    "tilewise features export runs/first --format clam --out clam"
)
def export(
    folder: Annotated[Path, typer.Argument(metavar="FEATURES", help="Folder of features, or of a run.")],
    out: OutOption,
    format_: Annotated[WriteFormat, typer.Option("--format", help="Whose files are written.")],
    mpp: Annotated[
        float | None, typer.Option("--mpp", min=0.0, help="Microns per level-0 pixel, where files do not say it.")
    ] = None,
    tile_size: Annotated[
        float | None, typer.Option("--tile-size", min=0.0, help="Side of a tile in level-0 pixels, likewise.")
    ] = None,
    tile_px: Annotated[
        int | None, typer.Option("--tile-px", min=1, help="Side of a tile as the encoder took it, likewise.")
    ] = None,
    encoder: Annotated[str | None, typer.Option("--encoder", help="Name of the encoder, likewise.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Write features in another program's files; a slide with a fact they cannot hold is refused, and named."""
    from tilewise import api
    from tilewise.cli.console import progress

    with progress(quiet=quiet):
        result = api.export_features(
            folder, out, format_, mpp=mpp, tile_size=tile_size, tile_px=tile_px, encoder=encoder
        )
    return _finish(result, out, as_json=as_json)


def _finish(result: ConvertedFeatures, out: Path, *, as_json: bool) -> int:
    from tilewise.cli.console import print_result
    from tilewise.wording import count

    for failure in result.failures:
        typer.echo(f"failed: {failure.message}", err=True)
    lines = [f"{count(len(result.files), 'slide')} of {result.source} written as {result.format}: {out}"]
    if result.without_file:
        names = ", ".join(result.without_file)
        lines.append(f"without tiles, for which {result.format} has no file: {names}")
    payload = {
        "source": result.source,
        "format": result.format,
        "files": {name: [str(path) for path in paths] for name, paths in result.files.items()},
        "without_file": list(result.without_file),
        "failures": [failure.__dict__ for failure in result.failures],
    }
    print_result(payload, "\n".join(lines), as_json=as_json)
    return EXIT_FAILED if result.failures else 0
