"""The card of the encoder that needs no weights."""

from __future__ import annotations

from tilewise.encoders.card import EncoderCard

# The length is written here, and not read from the texture package, because reading it would import NumPy and OpenCV;
# a test holds the two together.
CARDS = (
    EncoderCard(
        name="texture",
        family="texture",
        builder="texture",
        architecture="texture",
        licence="Apache-2.0",
        input_px=224,
        dim=232,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        description="Stain-separated colour, texture and nuclear features; no download",
        citation="tilewise",
        notes="Computed, not learned: the same tile gives the same vector on every machine of one instruction set.",
    ),
)
