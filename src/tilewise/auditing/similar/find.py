"""Slides that look like an example: a few tiles of each, an encoder, and the cosine between them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tilewise.auditing.similar.embedding import Embedding, embed
from tilewise.cohort import Cohort, Slide
from tilewise.cohort.identifiers import slides_named
from tilewise.encoders import Encoder, encoder_table
from tilewise.errors import SlideUnreadable, UsageError
from tilewise.execution import Failure

PREFERRED: Final = ("dinov2_vits14", "lunit_vits16_dino", "phikon", "resnet50")
"""Encoders that `choose_encoder` looks for, in this order: small enough for a laptop's processor."""
FALLBACK: Final = "texture"

_EXAMPLE: Final = "\x00example"
# A dimension that hardly varies over the cohort would otherwise turn rounding into distance.
_LEAST_SPREAD: Final = 1e-6


@dataclass(frozen=True)
class Neighbour:
    """One slide that looks like the example.

    Attributes:
        slide: its name.
        similarity: cosine of the standardised embeddings, -1 to 1; 0 is what two slides have by chance.
        rank: 1 for the most similar one.
        label: of the slide; None where it has none.
    """

    slide: str
    similarity: float
    rank: int
    label: str | None


@dataclass(frozen=True)
class SimilarSlides:
    """The slides most like an example.

    Attributes:
        to: the slide's name, or the picture's file name.
        example: where its pixels are.
        encoder: what compared them.
        neighbours: the most similar first.
        num_compared: slides that could be compared.
        failures: slides that could not be read.
    """

    to: str
    example: Slide
    encoder: str
    neighbours: tuple[Neighbour, ...]
    num_compared: int
    failures: tuple[Failure, ...] = ()


def find_similar(
    cohort: Cohort, to: Path | str, *, encoder: Encoder, top: int = 12, workers: int | None = None
) -> SimilarSlides:
    """Rank the slides of a cohort by how much they look like an example.

    Of every slide some tiles of tissue are encoded; mean and spread of their features, each dimension standardised
    over the cohort, are compared by their cosine. Embeddings are cached by the slide's bytes and the encoder.

    Args:
        cohort: where to look.
        to: the name of one of its slides (which is not its own neighbour), or the path of any picture.
        encoder: made by `build_encoder`.
        top: how many neighbours; fewer where the cohort is smaller.
        workers: slides read at a time; None takes every processor.

    Raises:
        UsageError: `to` is neither a slide nor a file, or no slide can be compared.
        SlideError: the example cannot be read.
    """
    example, own = _example(cohort, to)
    slides = {slide.slide_id: slide for slide in cohort.slides}
    pictures = slides if own else slides | {_EXAMPLE: example}
    embeddings, failures = embed(pictures, encoder, workers=workers)
    key = example.slide_id if own else _EXAMPLE
    messages = {failure.item: failure.message for failure in failures}
    if key in messages:
        raise SlideUnreadable(messages[key])
    comparable = {name: embeddings[name] for name in slides if name in embeddings}
    if len(comparable) < 2:
        raise UsageError(f"{cohort.root}: fewer than two slides can be compared; {len(failures)} could not be read")
    similarities = _similarities(comparable, embeddings[key])
    ranking = sorted(similarities.keys() - {key}, key=lambda name: (-similarities[name], name))
    neighbours = tuple(
        Neighbour(name, round(similarities[name], 4), rank, slides[name].label)
        for rank, name in enumerate(ranking[:top], start=1)
    )
    return SimilarSlides(
        to=example.slide_id,
        example=example,
        encoder=encoder.card.name,
        neighbours=neighbours,
        num_compared=len(ranking),
        failures=tuple(failure for failure in failures if failure.item != _EXAMPLE),
    )


def choose_encoder() -> str:
    """The first of `PREFERRED` whose weights are on this machine and whose licence was accepted, else `texture`."""
    here = {row["name"] for row in encoder_table() if row["weights"] == "here" and row["licence_accepted"]}
    return next((name for name in PREFERRED if name in here), FALLBACK)


def _example(cohort: Cohort, to: Path | str) -> tuple[Slide, bool]:
    """The slide to compare with, and whether it is one of the cohort."""
    slides = {slide.slide_id: slide for slide in cohort.slides}
    if str(to) in slides:
        return slides[str(to)], True
    path = Path(to)
    if path.is_file():
        same = [slide for slide in cohort.slides if slide.path.resolve() == path.resolve()]
        return (same[0], True) if same else (Slide(path.name, path), False)
    alike = slides_named(str(to), slides)
    if len(alike) == 1:
        return slides[alike[0]], True
    close = alike[:3] or difflib.get_close_matches(str(to), slides, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "give a slide's name or a picture's path"
    raise UsageError(f"--to {to}: neither a slide of {cohort.root} nor a file; {hint}")


def _similarities(embeddings: Mapping[str, Embedding], example: Embedding) -> dict[str, float]:
    """Cosine of each slide's standardised embedding with the example's."""
    matrix_ND, example_D = _standardise(list(embeddings.values()), example)
    return dict(zip(embeddings, (matrix_ND @ example_D).tolist(), strict=True))


def _standardise(
    embeddings: Sequence[Embedding], example: Embedding
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Rows of unit length (N, 2 D), and the example as such a row: mean, then spread of a slide's tiles.

    A slide of one tile has no spread; there it stands in the middle of the others, which says nothing.
    """
    means_ND = np.stack([embedding.mean_D for embedding in embeddings]).astype(np.float64)
    spreads_ND = np.stack([_spread(embedding) for embedding in embeddings])
    rows_ND = np.concatenate([means_ND, spreads_ND], axis=1)
    known = ~np.isnan(rows_ND)
    counts_D = np.maximum(known.sum(axis=0), 1)
    center_D = np.where(known, rows_ND, 0.0).sum(axis=0) / counts_D
    square_D = np.where(known, (rows_ND - center_D) ** 2, 0.0).sum(axis=0) / counts_D
    scale_D = np.maximum(np.sqrt(square_D), _LEAST_SPREAD)
    example_D = np.concatenate([example.mean_D.astype(np.float64), _spread(example)])
    return _unit((rows_ND - center_D) / scale_D), _unit(((example_D - center_D) / scale_D)[None])[0]


def _spread(embedding: Embedding) -> npt.NDArray[np.float64]:
    spread_D = embedding.spread_D.astype(np.float64)
    return spread_D if embedding.num_tiles > 1 else np.full_like(spread_D, np.nan)


def _unit(rows_ND: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rows_ND = np.nan_to_num(rows_ND, nan=0.0)
    lengths = np.maximum(np.linalg.norm(rows_ND, axis=1, keepdims=True), 1e-12)
    return np.asarray(rows_ND / lengths)
