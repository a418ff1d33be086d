"""Audited cohort in, audited cohort with new masks out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.errors import ArtifactError, UsageError
from tilewise.execution import Claim, Failure, run_each
from tilewise.segment.config import SegmentConfig
from tilewise.segment.crossfit import check_unet, crossfit
from tilewise.segment.masks import MaskRequest, SegmentedMask, find_mask
from tilewise.segment.scores import mean_with_interval
from tilewise.segment.segmenter import loaded, member_folders, unseen
from tilewise.store import cache_dir, digest_config

_NO_MASK = "it has no mask of use, and no region and no tissue was found"


@dataclass(frozen=True)
class SlideMask:
    """What was made for one slide.

    Attributes:
        slide_id: the table's own spelling.
        made_by: `tissue`, `sam`, `network 2`, or `mean of 4 networks`.
        used: whether it takes the place of what the slide had.
        mask: the mask.
        note: what a reader should know (that networks had seen the slide, say); empty otherwise.
    """

    slide_id: str
    made_by: str
    used: bool
    mask: SegmentedMask
    note: str = ""


@dataclass(frozen=True)
class Segmentation:
    """Masks of a cohort.

    Attributes:
        before: the cohort as it was given.
        cohort: the same slides with their new masks.
        slides: one per slide that could be read.
        networks: folders of the U-Nets, in the cache or where they were given; empty for other methods.
        scores: `dice` and `boundary_f`, each with `value`, `low`, `high`, `num_slides`, `num_groups`: means over
            slides whose own mask is known.
        failures: slides that could not be read.
    """

    before: AuditedCohort
    cohort: AuditedCohort
    slides: tuple[SlideMask, ...]
    networks: tuple[Path, ...]
    scores: Mapping[str, Mapping[str, Any]]
    failures: tuple[Failure, ...]

    @property
    def without(self) -> dict[str, str]:
        """Slide -> why it is left without a mask: it had none of use, and none was found."""
        lost = {one.slide_id for one in self.slides if not one.used}
        return {
            item.slide_id: item.mask_fault for item in self.cohort.slides if item.slide_id in lost and not item.use_mask
        }


@dataclass(frozen=True)
class _Source:
    """What finds a slide's mask."""

    made_by: str
    networks: tuple[Path, ...] = ()
    origin: tuple[str, ...] = ()
    note: str = ""


def segment_cohort(
    audited: AuditedCohort,
    config: SegmentConfig,
    *,
    seed: int = 0,
    workers: int | None = None,
    offline: bool = False,
    cache: Path | None = None,
    never_learn: AbstractSet[str] = frozenset(),
) -> Segmentation:
    """Make a mask for every slide; no slide is segmented by a network that saw it or its group.

    Networks and masks are kept in the cache by content, so that a stopped call goes on. Slides with a mask of use are
    segmented even where they keep it, to score what the others get.

    Args:
        audited: what is segmented.
        config: how; its method is not none.
        seed: of folds, first weights and augmentation.
        workers: processes; None takes every processor. Results do not depend on it.
        offline: never reach for the network.
        cache: folder that networks and masks are kept in; None takes `segment` in the cache.
        never_learn: slides that teach no network, as those that a score is reported on.

    Raises:
        UsageError: the method cannot be used here; nothing was computed.
        TrainingError: training could not go on; names step and slides.
    """
    if config.method == "none":
        raise UsageError("segment.method is none: nothing would be made; choose tissue, unet or sam")
    cache = cache or cache_dir() / "segment"
    learn = [item for item in audited.slides if item.use_mask and item.slide_id not in never_learn]
    sources, networks, failures = _sources(
        audited, config, learn, seed=seed, workers=workers, offline=offline, cache=cache
    )
    failed = {failure.item for failure in failures}
    requests = {
        item.slide_id: MaskRequest(item, config, source.networks, source.origin, offline, cache)
        for item in audited.slides
        if item.slide_id not in failed
        for source in [sources[item.slide_id]]
    }
    # SAM is too large for a copy in each process, and uses every processor by itself.
    claim = None if config.method == "sam" else Claim(config.unet.num_threads)
    outcome = run_each(find_mask, requests, stage="masks", workers=workers, claim=claim)
    items = {item.slide_id: item for item in audited.slides}
    made = tuple(
        SlideMask(
            name,
            sources[name].made_by,
            used=mask.share > 0 and (config.slides == "all" or not items[name].use_mask),
            mask=mask,
            note=sources[name].note,
        )
        for name, mask in outcome.results.items()
    )
    failures = (*failures, *outcome.failures)
    slides = {one.slide_id: one for one in made}
    cohort = replace(
        audited,
        slides=tuple(_with_mask(item, slides.get(item.slide_id)) for item in audited.slides),
        failures=(*audited.failures, *failures),
    )
    return Segmentation(audited, cohort, made, networks, _scores(made, items, seed), failures)


def _sources(
    audited: AuditedCohort,
    config: SegmentConfig,
    learn: Sequence[AuditedSlide],
    *,
    seed: int,
    workers: int | None,
    offline: bool,
    cache: Path,
) -> tuple[dict[str, _Source], tuple[Path, ...], tuple[Failure, ...]]:
    names = [item.slide_id for item in audited.slides]
    if config.method == "tissue":
        return dict.fromkeys(names, _Source("tissue")), (), ()
    if config.method == "sam":
        from tilewise.segment.sam import load_sam, sam_digest

        load_sam(config.sam, offline=offline)
        return dict.fromkeys(names, _Source("sam", origin=(sam_digest(config.sam),))), (), ()
    if config.unet.networks is not None:
        return *_of_folder(audited, config.unet.networks), ()
    if not learn:
        raise UsageError(
            "segment.method unet learns from the cohort's own masks, and not one slide has a mask of use; give masks, "
            "networks trained before (segment.unet.networks), or take segment.method tissue or sam"
        )
    check_unet(config.unet, offline=offline)
    fitted = crossfit(learn, config.unet, seed=seed, workers=workers, offline=offline, cache=cache)
    every = _Source(f"mean of {len(fitted.networks)} networks", fitted.networks, fitted.digests)
    sources = {}
    for item in audited.slides:
        fold = fitted.fold_of_group.get(item.group)
        sources[item.slide_id] = (
            every if fold is None else _Source(f"network {fold}", (fitted.networks[fold],), (fitted.digests[fold],))
        )
    return sources, fitted.networks, fitted.failures


def _of_folder(audited: AuditedCohort, folder: Path) -> tuple[dict[str, _Source], tuple[Path, ...]]:
    """Networks trained before; a slide that some of them learnt from is left to the others."""
    try:
        folders = tuple(path.resolve() for path in member_folders(folder))
        members = {path: loaded(path) for path in folders}
    except ArtifactError as error:
        raise UsageError(f"segment.unet.networks {folder}: {error}") from error
    digests = defaultdict(set)
    for item in audited.slides:
        digests[item.group].add(item.pixel_digest)
    sources = {}
    for item in audited.slides:
        chosen = unseen(tuple(members.values()), digests[item.group])
        picked = tuple(path for path, member in members.items() if any(member is one for one in chosen))
        saw = any(member.training_digests & digests[item.group] for member in chosen)
        sources[item.slide_id] = _Source(
            f"mean of {len(picked)} networks" if len(picked) > 1 else f"network {folders.index(picked[0])}",
            picked,
            tuple(digest_config([members[path].origin.get("inputs"), path.name]) for path in picked),
            "every network learnt from this slide or its group: the score is too good" if saw else "",
        )
    return sources, folders


def _with_mask(item: AuditedSlide, made: SlideMask | None) -> AuditedSlide:
    if made is None:
        return item
    if not made.used:
        lost = not item.use_mask and made.mask.share == 0
        return replace(item, mask_fault=item.mask_fault or _NO_MASK) if lost else item
    return replace(
        item,
        slide=replace(item.slide, mask_path=made.mask.path),
        use_mask=True,
        mask_fault="",
        content=digest_config([item.content, made.mask.digest]),
    )


def _scores(made: tuple[SlideMask, ...], items: Mapping[str, AuditedSlide], seed: int) -> dict[str, dict[str, Any]]:
    groups = {name: item.group for name, item in items.items()}
    scores = {}
    for metric in ("dice", "boundary_f"):
        known = {one.slide_id: value for one in made if (value := getattr(one.mask, metric)) is not None}
        scores[metric] = mean_with_interval(known, groups, seed=seed)
    return scores
