"""Which slides of a cohort are faulty, and how; known before a pixel is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tilewise.errors import UsageError
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.faults.blobs import BLOB_COLOURS, BLOB_FAMILIES
from tilewise.synthetic.faults.cartoons import CARTOON_FAMILIES
from tilewise.synthetic.faults.copies import COPY_FAMILIES
from tilewise.synthetic.faults.files import ENORMOUS_FAMILIES, REPACKED_FAMILIES, UNREADABLE_FAMILIES
from tilewise.synthetic.faults.held_out import BLOB_FAMILY, CARTOON_FAMILY
from tilewise.synthetic.faults.masks import MASK_KINDS
from tilewise.synthetic.faults.pens import PEN_FAMILIES
from tilewise.synthetic.faults.quality import QUALITY_FAMILIES
from tilewise.synthetic.faults.stains import STAIN_FAMILIES
from tilewise.synthetic.latents import class_names
from tilewise.synthetic.plan import PlannedSlide, plan_cohort

# Streams of the cohort, and of a faulty slide: a slide's own numbers up to 11 are taken by its drawing.
_PLACES_STREAM, _FAULTS_STREAM = 7_103, 7_104
_FAULT_STREAM = 21
# How often the second slide of a pair carries another label, by fault.
_LABEL_DIFFERS = {"cartoon": 0.75, "exact-copy": 0.3, "near-copy": 0.3}
# The tissue of these is that of their clean twin.
_PAIRED = frozenset({"cartoon", "exact-copy", "near-copy", "name-family", "in-both", "section", "stranger"})


@dataclass(frozen=True)
class FaultySlide(PlannedSlide):
    """A slide that gets a fault after it is drawn.

    Attributes:
        fault: what `plant.plant` is to do.
        family: the way it is done.
        twin: the clean slide it is made from; None where it is drawn for itself.
    """

    fault: str
    family: str
    twin: PlannedSlide | None

    @property
    def image_name(self) -> str:
        """File name of the picture; copies made by a file manager are named after their twin."""
        return f"img_{self._number}.png"

    @property
    def mask_name(self) -> str:
        """File name of the mask."""
        return f"mask_{self._number}.png"

    @property
    def _number(self) -> str:
        if self.fault == "name-family" and self.twin is not None:
            return f"{self.twin.index:04d} (1)"
        return f"{self.index:04d}"

    @property
    def drawn(self) -> PlannedSlide:
        """The slide as it is drawn before anything is done to it."""
        if self.twin is not None:
            return self.twin
        return PlannedSlide(self.index, self.part, self.label, self.latents, self.unit, self.seed)

    def stream(self, number: int) -> np.random.Generator:
        """Random numbers of the slide that is drawn; `fault_stream` has those of the fault."""
        if self.twin is not None:
            return self.twin.stream(number)
        return super().stream(number)

    def fault_stream(self) -> np.random.Generator:
        """What everything about the fault is drawn with."""
        return np.random.default_rng([self.seed, self.index, _FAULT_STREAM])


def plan_faults(config: SynthConfig) -> dict[int, PlannedSlide]:
    """Plan a cohort with `config.num_slides` clean training slides and, at random places among them, faulty ones.

    Every fault has a slide of its own, and every slide that is copied one copy. Faulty slides are training slides, but
    those that stand in both parts, whose copy is a test slide.

    Raises:
        UsageError: there are fewer clean slides than are to be copied.
    """
    if not config.faults:
        return plan_cohort(config)
    in_train, in_test = list(_faults(config)), [("in-both", way) for way in _ways_in_both(config)]
    num_pairs = sum(fault in _PAIRED for fault, _ in in_train + in_test)
    if num_pairs > config.num_slides:
        raise UsageError(
            f"synth: {config.faults} faults of each kind copy {num_pairs} clean slides, there are {config.num_slides}; "
            f"ask for at least {num_pairs} slides, or for fewer faults"
        )
    larger = {
        "num_slides": config.num_slides + len(in_train),
        "num_test_slides": config.num_test_slides + len(in_test),
    }
    plan = plan_cohort(config.model_copy(update=larger))
    rng = np.random.default_rng([config.seed, _PLACES_STREAM])
    faults: dict[int, tuple[str, str]] = {}
    for part, wanted in (("train", in_train), ("test", in_test)):
        places = [index for index, slide in plan.items() if slide.part == part]
        faults |= zip(rng.permutation(places)[: len(wanted)].tolist(), wanted, strict=True)
    clean = [slide for index, slide in plan.items() if index not in faults and slide.part == "train"]
    twins = iter(rng.permutation(len(clean)).tolist())
    for index, (fault, family) in sorted(faults.items()):
        twin = clean[next(twins)] if fault in _PAIRED else None
        plan[index] = _spoil(config, plan[index], fault, family, twin)
    return plan


def clean_slides(plan: dict[int, PlannedSlide]) -> dict[int, PlannedSlide]:
    """The slides of a plan without a fault."""
    return {index: slide for index, slide in plan.items() if not isinstance(slide, FaultySlide)}


def _faults(config: SynthConfig) -> Iterator[tuple[str, str]]:
    """What is to be planted among the training slides: faults and their families."""
    num, some = config.faults, -(-config.faults // 2)
    turn = np.random.default_rng([config.seed, _FAULTS_STREAM])

    def each(fault: str, families: Sequence[str], amount: int) -> Iterator[tuple[str, str]]:
        start = int(turn.integers(len(families)))
        return ((fault, families[(start + k) % len(families)]) for k in range(amount))

    yield from each("cartoon", CARTOON_FAMILIES, num)
    yield from each("cartoon", (CARTOON_FAMILY,), some)
    yield from each("exact-copy", REPACKED_FAMILIES, num)
    yield from each("name-family", ("same-bytes",), num)
    for family in (*COPY_FAMILIES, "blob"):
        yield from each("near-copy", (family,), some)
    for colour in BLOB_COLOURS:
        inks = [f"{colour}/{family}" for family in BLOB_FAMILIES]
        yield from each("ink", inks, num if colour == "green" else some)
    yield from each("ink", [f"{colour}/{BLOB_FAMILY}" for colour in BLOB_COLOURS], some)
    yield from each("mask-on-ink", [f"{colour}/{family}" for family in BLOB_FAMILIES for colour in BLOB_COLOURS], num)
    yield from each("pen", PEN_FAMILIES, num)
    yield from each("other-stain", STAIN_FAMILIES, num)
    for kind in MASK_KINDS:
        yield from each(kind, ("",), num)
    yield from each("mask-unreadable", UNREADABLE_FAMILIES, num)
    for kind, families in QUALITY_FAMILIES.items():
        yield from each(kind, families, num)
    yield from each("unreadable", UNREADABLE_FAMILIES, num)
    yield from each("too-large", ENORMOUS_FAMILIES, num)
    yield from each("section", ("",), num)
    yield from each("stranger", ("",), num)
    yield from each("label-missing", ("",), num)


def _ways_in_both(config: SynthConfig) -> list[str]:
    """How slides that stand in both parts were copied; there are none where there is no test part."""
    ways = ("same-bytes", "metadata", *COPY_FAMILIES)
    return [ways[(config.seed + k) % len(ways)] for k in range(config.faults if config.num_test_slides else 0)]


def _spoil(
    config: SynthConfig, planned: PlannedSlide, fault: str, family: str, twin: PlannedSlide | None
) -> FaultySlide:
    own = asdict(planned)
    if twin is not None and fault != "stranger":
        own |= {"label": twin.label, "latents": twin.latents, "unit": twin.unit}
        rng = np.random.default_rng([config.seed, planned.index, _FAULT_STREAM, 1])
        others = [name for name in class_names(config) if name != twin.label]
        if rng.random() < _LABEL_DIFFERS.get(fault, 0.0):
            own["label"] = others[int(rng.integers(len(others)))]
    return FaultySlide(**own, fault=fault, family=family, twin=twin)
