import numpy as np
import pytest
from sklearn.decomposition import MiniBatchDictionaryLearning, sparse_encode

from tilewise.stain.density import densities
from tilewise.stain.dye_vectors import PUBLISHED, macenko_vectors, sparse_code, stained, vahadane_vectors
from tilewise.stain.profile import angle_between


def independent_macenko(rgb, level=240.0, beta=0.15, alpha=1.0):
    """Macenko's method as it is written in the paper, by singular values of the centred densities."""
    density = -np.log((rgb.reshape(-1, 3).astype(float) + 1) / level)
    density = density[np.all(density > beta, axis=1)]
    _, _, axes = np.linalg.svd(density - density.mean(axis=0), full_matrices=False)
    plane = axes[:2].T
    if plane[:, 0].sum() < 0:
        plane[:, 0] *= -1
    angles = np.arctan2(density @ plane[:, 1], density @ plane[:, 0])
    dyes = [plane @ (np.cos(angle), np.sin(angle)) for angle in np.percentile(angles, [alpha, 100 - alpha])]
    return np.array(sorted(dyes, key=lambda vector: -vector[0]))


def independent_vahadane(density, seed=0):
    """Sparse non-negative dictionary learning of two atoms by scikit-learn, pixels as samples."""
    learner = MiniBatchDictionaryLearning(
        2, alpha=0.1, fit_algorithm="cd", positive_code=True, positive_dict=True, dict_init=PUBLISHED.copy(),
        max_iter=60, batch_size=256, random_state=seed, transform_algorithm="lasso_cd",
    )  # fmt: skip
    dyes = learner.fit(density).components_
    return dyes / np.linalg.norm(dyes, axis=1, keepdims=True)


def angles(first, second):
    return [angle_between(a, b) for a, b in zip(first, second, strict=True)]


def test_macenko_finds_the_dyes_that_were_drawn(section, dyes):
    rgb, tissue = section()
    vectors, spreads = macenko_vectors(stained(densities(rgb[tissue], (240.0,) * 3)))
    assert max(angles(vectors, dyes)) < 3
    assert spreads[0] >= spreads[1] >= spreads[2] >= 0


def test_vahadane_finds_the_dyes_that_were_drawn(section, dyes):
    rgb, tissue = section()
    density = stained(densities(rgb[tissue], (240.0,) * 3))
    vectors = vahadane_vectors(density, macenko_vectors(density)[0])
    assert max(angles(vectors, dyes)) < 5
    assert (vectors >= 0).all()


def test_the_dyes_are_named_by_their_colour_and_not_by_red_alone():
    # Both take little red, and eosin a trace more.
    eosin, haematoxylin = np.array([0.28, 0.92, 0.26]), np.array([0.27, 0.76, 0.59])
    rng = np.random.default_rng(0)
    density = rng.uniform(0.3, 1.5, (2000, 2)) @ np.array([eosin, haematoxylin])
    vectors, _ = macenko_vectors(density)
    assert angle_between(vectors[0], haematoxylin) < angle_between(vectors[0], eosin)


def test_the_closed_form_is_the_sparse_code_of_scikit_learn():
    rng = np.random.default_rng(1)
    density = np.abs(rng.normal(0.3, 0.5, (500, 3)))
    expected = sparse_encode(density, PUBLISHED, algorithm="lasso_cd", alpha=0.1, positive=True, max_iter=10_000)
    np.testing.assert_allclose(sparse_code(density, PUBLISHED), expected, atol=2e-3)
    assert (expected == 0).any(axis=0).all()


@pytest.mark.real
@pytest.mark.parametrize("name", ["source_a", "source_b", "target"])
def test_macenko_agrees_with_an_independent_one_on_real_slides(reference, name):
    rgb = reference(name)
    vectors, _ = macenko_vectors(stained(densities(rgb.reshape(-1, 3), (239.0,) * 3)))
    assert max(angles(vectors, independent_macenko(rgb))) < 0.5


@pytest.mark.real
@pytest.mark.parametrize("name", ["source_b", "target"])
def test_vahadane_agrees_with_dictionary_learning_of_scikit_learn(reference, name):
    rgb = reference(name)
    density = stained(densities(rgb.reshape(-1, 3)[::7], (239.0,) * 3))
    vectors = vahadane_vectors(density, macenko_vectors(density)[0])
    assert max(angles(vectors, independent_vahadane(density.astype(float)))) < 5
