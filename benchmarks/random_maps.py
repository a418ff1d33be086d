"""What the check of maps by random weights says of maps whose features are known: maps of drawn linear heads.

    python benchmarks/random_maps.py

Features are drawn: 60 of them, of `directions` as many leading ones (participation ratio of their variances), each
white or smooth over the slide's places. `random`: two random heads. `first`: a head along the leading direction,
against random ones. `last`: a head along the weakest. `unrelated`: two heads on other features each. All are means over
120 slides of the share of ranks that both maps have in common, and of the signed rank correlation of two random heads.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from tilewise.explain.checks import rank_correlation, shared_ranks

NUM_FEATURES, NUM_SLIDES = 60, 120


def main() -> None:
    generator = np.random.default_rng(0)
    print("| places | smooth | directions | signed | random | first | last | unrelated |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|")
    for side in (3, 6, 10, 22):
        for smooth in (0.0, 1.0):
            for decay in (0.0, 0.5, 1.0, 2.0):
                scales_D = np.arange(1.0, NUM_FEATURES + 1) ** -decay
                means = np.mean([slide(generator, side, smooth, scales_D) for _ in range(NUM_SLIDES)], axis=0)
                directions = np.square(scales_D).sum() ** 2 / (scales_D**4).sum()
                cells = " | ".join(f"{mean:.2f}" for mean in means)
                print(f"| {side * side} | {'yes' if smooth else 'no'} | {directions:.1f} | {cells} |")


def slide(generator: np.random.Generator, side: int, smooth: float, scales_D: np.ndarray) -> list[float]:
    """Signed correlation of two random heads, and shares: random, first, last, unrelated."""
    features_ND, rotation_DD = draw_features(generator, side, smooth, scales_D)
    others_ND, _ = draw_features(generator, side, smooth, scales_D)
    one_D, two_D = generator.normal(size=(2, NUM_FEATURES))
    random_N = features_ND @ one_D
    heads = (features_ND @ two_D, features_ND @ rotation_DD[:, 0], features_ND @ rotation_DD[:, -1], others_ND @ two_D)
    return [rank_correlation(random_N, heads[0]), *(shared_ranks(random_N, head_N) for head_N in heads)]


def draw_features(
    generator: np.random.Generator, side: int, smooth: float, scales_D: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Features of the places of a slide, and the directions that they were drawn along, the leading one first."""
    fields = generator.normal(size=(NUM_FEATURES, side, side))
    if smooth:
        fields = np.stack([gaussian_filter(field, smooth, mode="wrap") for field in fields])
    fields /= fields.std(axis=(1, 2), keepdims=True)
    rotation_DD = np.linalg.qr(generator.normal(size=(NUM_FEATURES, NUM_FEATURES)))[0]
    return (fields.reshape(NUM_FEATURES, -1).T * scales_D) @ rotation_DD.T, rotation_DD


if __name__ == "__main__":
    main()
