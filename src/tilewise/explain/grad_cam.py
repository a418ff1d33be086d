"""Grad-CAM: where on its tiles a network finds what speaks for a class."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tilewise.compute import reproducible
from tilewise.errors import UsageError
from tilewise.explain.layers import is_of_tokens, spatial_layer
from tilewise.models.networks import NetworkModel, TileBatch
from tilewise.torchvision_repair import import_repaired

_CALL = 16  # tiles per pass at most, a power of two


class GradCam:
    """Grad-CAM of one network.

    Selvaraju et al., Grad-CAM: Visual explanations from deep networks via gradient-based localization, ICCV 2017. The
    channels of the last spatial layer are summed, each weighed by the mean gradient of the class's logit, and what is
    below zero is cut off. Of a vision transformer each token has a gradient of its own, and the mean over them says
    little: there activation and gradient are multiplied place by place (HiResCAM; Draelos and Carin, Use HiResCAM
    instead of Grad-CAM for faithful explanations, 2020). Of a feature map that is averaged the two are the same.

    Values are left as they are: the library's own call stretches each tile to 0..1, and a tile
    without anything of the class would look like one that is full of it.

    Of a network with several inputs the tile itself is explained: not the mask's branch, not the whole slide, and of
    several fields of view the first. A mask that is a fourth channel is explained together with the tile.

    Args:
        model: the network.
        num_threads: of the processor; the same number on the same machine gives the same bytes.
        device: `cpu` or `cuda`.

    Raises:
        UsageError: the library is not installed.
    """

    def __init__(self, model: NetworkModel, *, num_threads: int = 1, device: str = "cpu") -> None:
        library = import_grad_cam()
        self._threads, self._device = num_threads, device
        self._network = model.build().to(device)
        self._network.set_trained(0)
        layer, reshape = spatial_layer(self._network)
        # Gradients go back to this layer and no further; the library's own hooks come after this one.
        layer.register_forward_hook(_start_gradients)
        method = library.HiResCAM if is_of_tokens(self._network) else library.GradCAM
        self._cam: Any = method(self._network, [layer], reshape)
        self._layer = layer

    def maps(self, batch: TileBatch, class_index: int) -> npt.NDArray[np.float32]:
        """How much each place of each tile speaks for a class, float32 (N, h, w), from 0, in units of its logit.

        Args:
            batch: any number of tiles, on the processor; h and w are the sides of the network's last feature map.
            class_index: of the class.
        """
        parts = []
        with reproducible(self._threads) if self._device == "cpu" else nullcontext():
            for index, call in batch.calls(_CALL):
                parts.append(self._maps(call.to(self._device), class_index)[: index.stop - index.start])
        return np.concatenate(parts)

    def _maps(self, batch: TileBatch, class_index: int) -> npt.NDArray[np.float32]:
        passed = self._cam.activations_and_grads
        # The caller may be in inference mode.
        with torch.inference_mode(mode=False), torch.enable_grad():
            logits_BC: Tensor = passed(batch)
            torch.autograd.backward(logits_BC[:, class_index].sum())
        # Fields of a tile, or tiles and then whole slides, went through the encoder together.
        rows = slice(None, None, batch.images_BSCHW.shape[1])
        activations, gradients = (
            tiles_or_failure[0].numpy()[rows][: len(batch)]
            for tiles_or_failure in (passed.activations, passed.gradients)
        )
        maps_BHW = self._cam.get_cam_image(None, self._layer, [], activations, gradients, eigen_smooth=False)
        passed.clear()
        positive_BHW: npt.NDArray[np.float32] = np.maximum(maps_BHW, 0.0, dtype=np.float32)
        return positive_BHW


def import_grad_cam() -> Any:
    """The library, which only class activation maps need.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return import_repaired("pytorch_grad_cam")
    except ImportError as error:
        raise UsageError(
            "class activation maps of networks on pixels need the library grad-cam, which is not installed here; "
            "pip install 'tilewise[explain]'"
        ) from error


def _start_gradients(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    del module, inputs
    return output.detach().requires_grad_()
