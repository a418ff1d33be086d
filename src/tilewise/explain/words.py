"""How the maps of a classifier are made, in words."""

from __future__ import annotations

from collections.abc import Sequence

from tilewise.inference.classifier import Member
from tilewise.models.networks import NetworkModel
from tilewise.wording import count

_GRAD_CAM = (
    "Class activation, by Grad-CAM (Selvaraju et al., ICCV 2017): the places of a tile that raise the score of the "
    "class, by the gradient at the network's last layer that knows places; what lowers it is not shown."
)
_HIRES_CAM = (
    "Class activation, by HiResCAM (Draelos and Carin, 2020), since these networks are vision transformers: what the "
    "places of a tile add to the score of the class, activation times gradient at what goes into the last block; what "
    "lowers it is not shown. There each place has already seen the others, so that a map may be bright beside what "
    "matters."
)
_SCALE = (
    "The unit is what the logit would gain if all of the tile were so. All slides of this page have one scale; a slide "
    "on which nothing adds a tenth to the logit has no colours, and that is written."
)
_LAST_STAGE = "These networks pool several stages; only the last is drawn, and what the others add is not."
_OF_SLIDE_VECTORS = {
    "feature_mean": "These heads see the mean of a slide's features. The probability of a tile is what a slide would "
    "get that has no other; tiles differ more than slides do, so that it may be far from that of the slide.",
    "feature_max": "These heads see the highest value of each feature over a slide's tiles. The probability of a tile "
    "is what a slide would get that has no other; which tile a slide's highest values come from differs from feature "
    "to feature, and is not drawn.",
    "feature_mean_and_deviation": "These heads see the mean and the standard deviation of a slide's features. The "
    "probability of a tile is what a slide would get whose mean is this tile and whose deviations are those of the "
    "slide that is drawn: what the deviations say is the same on all of its tiles, and where in the slide it comes "
    "from is not drawn.",
}
_LEFT_OUT = (
    "Left out (occlusion; Zeiler and Fergus, ECCV 2014): by how much the slide's log odds of the class fall when the "
    "tile is not there; of more than 64 tiles, a group of neighbours. It needs no gradient, and counts all that the "
    "model does with a tile. Blue spoke against the class."
)
_COVERED = (
    "Left out (occlusion; Zeiler and Fergus, ECCV 2014): by how much the tile's log odds of the class fall when a "
    "sixteenth of it is covered in the slide's mean colour, on the tiles of most activation. It needs no gradient, and "
    "is a check of the activation. Blue spoke against the class."
)
_ATTENTION = {
    "attention": "how much each tile counts when the slide is predicted (Ilse et al., ICML 2018)",
    "additive_attention": "how much each tile counts when the slide is predicted (Ilse et al., ICML 2018)",
    "clam_sb": "how much each tile counts when the slide is predicted (Lu et al., 2021)",
    "clam_mb": "how much each tile counts when the slide is scored for this class (Lu et al., 2021)",
    "dsmil": "how much each tile counts, by its likeness to the one of highest score for the class (Li et al., 2021)",
    "transmil": "how much the class token attends to each tile in the last layer, mean over heads (Shao et al., 2021); "
    "there each tile has already seen the others",
}
_OF_PLUGIN = "how much each tile counts when the slide is predicted, as a plugin weighs it"
_CONTEXT = (
    "What stands beside the tiles, the tissue outside the mask and the shape of the mask, is the same for all tiles of "
    "a slide: it moves their probabilities alike, and where in the slide it comes from is not drawn."
)
_EXPLAINED = {
    "image": "",
    "mask_channel": "The mask is a fourth channel of these networks' tiles and is explained together with them.",
    "dual_branch": "These networks also see the mask, in a branch of its own; only the tile's branch is drawn.",
    "dual_stream": "These networks also see the whole slide, in a stream of its own; only the tile's stream is drawn.",
    "multi_scale": "These networks see several fields of view around each place; only the first is drawn.",
}


def describe_models(models: Sequence[Member], encoder: str) -> str:
    """Number and kind of the models that are explained, in a few words."""
    num, first = len(models), models[0]
    if isinstance(first, NetworkModel):
        return f"{count(num, 'network')} on pixels, {first.card.name}"
    return f"{count(num, 'head')} on features of {encoder}"


def describe_outlines(num_masks: int, num_slides: int) -> str:
    """What the outlines on a page's slides are.

    Args:
        num_masks: slides whose mask is used, which have one.
        num_slides: on the page.
    """
    if not num_masks:
        return "No slide here has a mask that is used, and so an outline."
    others = num_slides - num_masks
    rest = f"; {count(others, 'slide')} without one {'has' if others == 1 else 'have'} no mask that is used"
    return f"The outline is the region that tiles are cut by{rest if others else ''}."


def describe_methods(models: Sequence[Member], *, out_of_fold: bool, num_repeats: int = 1) -> tuple[str, ...]:
    """How the maps are made, a sentence or some each.

    Args:
        models: that are explained.
        out_of_fold: whether each slide is explained by the model of its fold, else by all of them.
        num_repeats: how many times folds were cut.
    """
    first, by = models[0], ""
    if out_of_fold:
        by = " Each slide is explained by the model of the fold that tests it, which knew neither it nor its group."
        if num_repeats > 1:
            by += (
                f" Folds were cut {num_repeats} times: maps and probabilities are the mean over the {num_repeats} "
                "models that test the slide, one of each repeat."
            )
    elif len(models) > 1:
        by = " It is the mean over the models, by their weights."
    shared = (
        "Probability: what the classifier says of each tile alone, painted where the tile was cut; where tiles "
        f"overlap, their mean.{by} The scale is the same on every slide, and the mark on it is chance: all classes "
        "alike."
    )
    sentences = [shared]
    if isinstance(first, NetworkModel):
        method = _HIRES_CAM if first.card.family.startswith("vit") else _GRAD_CAM
        sentences += [f"{method} {_SCALE}", _EXPLAINED[first.network.input]]
        if first.card.pooling == "stages" and first.network.pooling == "encoder":
            sentences.append(_LAST_STAGE)
        return tuple(text for text in (*sentences, _COVERED) if text)
    if first.head.attends:
        attention = _ATTENTION.get(first.aggregator, _OF_PLUGIN)
        sentences.append(
            f"Attention: {attention}; 1 is what each tile would have if all counted the same. A "
            "tile that counts may speak against the class. The probability of a tile is what a slide would get that "
            "has no other."
        )
    else:
        if first.head.takes_slide_vectors:
            sentences.append(_OF_SLIDE_VECTORS[first.aggregator])
        if first.num_context:
            sentences.append(_CONTEXT)
        sentences.append("These heads take the features of whole tiles: nothing can be said of places inside a tile.")
    return (*sentences, _LEFT_OUT)
