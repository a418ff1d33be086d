"""TransMIL: a transformer over the tiles of a slide, whose attention is approximated by landmarks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tilewise.models.bag_model import BagModel, Pooled
from tilewise.models.config import HeadConfig
from tilewise.models.heads import build_head, fresh_linear
from tilewise.models.tile_bags import TileBags

_HEADS, _KERNEL, _PINV_STEPS = 8, 33, 6
_PYRAMID = (7, 5, 3)


class TransMil(BagModel):
    """TransMIL (Shao et al., NeurIPS 2021): class token, two layers of Nystroem attention, positions in between.

    Two things differ from the authors' code, so that a slide's result depends on its own tiles alone and each of them
    counts once. Tiles are repeated to fill the square over which positions are convolved (PPEG), and nowhere else.
    Where a slide has no more tiles than landmarks, attention is exact, where the code adds tokens of zeros. Positions
    are those in the bag, row by row, as the paper has it: the order of tiles matters.

    Args:
        num_features: D.
        size: E, of tokens, a multiple of 8; half of it is the number of landmarks, as in the paper.
        head: of the class token.
        generator: draws all weights; only needed for training.
    """

    def __init__(
        self, num_features: int, size: int, head: nn.Sequential, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.embed = fresh_linear(num_features, size, 1.0 / math.sqrt(num_features), generator)
        self.class_token = nn.Parameter(torch.empty(1, size).normal_(0.0, 1.0, generator=generator))
        self.layers = nn.ModuleList(NystroemLayer(size, size // 2, generator) for _ in range(2))
        self.kernels = nn.ParameterList(
            nn.Parameter(torch.empty(size, 1, side, side).uniform_(-1.0 / side, 1.0 / side, generator=generator))
            for side in _PYRAMID
        )
        self.kernel_bias = nn.Parameter(torch.zeros(size))
        self.norm = nn.LayerNorm(size)
        self.head = head

    def pool(self, bags: TileBags, labels_S: Tensor | None = None) -> Pooled:  # noqa: ARG002 - no loss of tiles
        """See `BagModel`."""
        hidden_NE = self.embed(bags.features_ND).relu()
        vectors_SE = hidden_NE.new_empty(bags.num_slides, hidden_NE.shape[1])
        weights_N = hidden_NE.new_empty(len(hidden_NE))
        # Slides of as many tiles go together; nothing is padded.
        for slides, tiles_BT in bags.of_equal_length():
            vectors_BE, weights_BT = self._transform(hidden_NE[tiles_BT])
            vectors_SE = vectors_SE.index_copy(0, slides, vectors_BE)
            weights_N = weights_N.index_copy(0, tiles_BT.flatten(), weights_BT.flatten())
        return Pooled(vectors_SE, weights_N[:, None])

    def _transform(self, hidden_BTE: Tensor) -> tuple[Tensor, Tensor]:
        """Class tokens, (B, E), and the attention of each tile, (B, T), of slides of T tiles."""
        class_B1E = self.class_token.expand(len(hidden_BTE), 1, -1)
        tokens_BLE, _ = self.layers[0](torch.cat([class_B1E, hidden_BTE], dim=1))
        tokens_BLE = torch.cat([tokens_BLE[:, :1], self._with_positions(tokens_BLE[:, 1:])], dim=1)
        tokens_BLE, attention_BL = self.layers[1](tokens_BLE)
        # The approximation may fall a little below zero.
        weights_BT = attention_BL[:, 1:].clamp_min(torch.finfo(attention_BL.dtype).tiny)
        return self.norm(tokens_BLE[:, 0]), weights_BT / weights_BT.sum(dim=1, keepdim=True)

    def _with_positions(self, tokens_BTE: Tensor) -> Tensor:
        """Tokens with the pyramid of convolutions over the square they are laid out in."""
        batch, num_tiles, size = tokens_BTE.shape
        side = math.isqrt(num_tiles - 1) + 1
        square = torch.arange(side * side) % num_tiles
        grid_BEHW = tokens_BTE[:, square].transpose(1, 2).reshape(batch, size, side, side)
        sums_BEHW = grid_BEHW + self.kernel_bias[:, None, None]
        for kernel in self.kernels:
            sums_BEHW = sums_BEHW + functional.conv2d(grid_BEHW, kernel, padding=kernel.shape[-1] // 2, groups=size)
        return sums_BEHW.flatten(2).transpose(1, 2)[:, :num_tiles]


class NystroemLayer(nn.Module):
    """x + attention(norm(x)), with 8 heads and a convolution of values beside the attention.

    Xiong et al., Nystroemformer, AAAI 2021.

    Args:
        size: E.
        num_landmarks: of sequences that are longer; in shorter ones attention is exact.
        generator: draws weights; only needed for training.
    """

    def __init__(self, size: int, num_landmarks: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(size)
        self.norm = nn.LayerNorm(size)
        self.qkv = fresh_linear(size, 3 * size, bound, generator, bias=False)
        self.out = fresh_linear(size, size, bound, generator)
        convolution = torch.empty(_HEADS, 1, _KERNEL, 1).uniform_(-1.0, 1.0, generator=generator)
        self.convolution = nn.Parameter(convolution / math.sqrt(_KERNEL))
        self._num_landmarks = num_landmarks

    def forward(self, tokens_BLE: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens, (B, L, E), and the attention of the first one to all, (B, L), mean over heads."""
        batch, length, size = tokens_BLE.shape
        qkv_3BHLK = self.qkv(self.norm(tokens_BLE)).view(batch, length, 3, _HEADS, -1).permute(2, 0, 3, 1, 4)
        q_BHLK, k_BHLK, v_BHLK = qkv_3BHLK.unbind(dim=0)
        mixed_BHLK, attention_BL = attend(
            q_BHLK / math.sqrt(size // _HEADS), k_BHLK, v_BHLK, num_landmarks=self._num_landmarks
        )
        mixed_BHLK = mixed_BHLK + functional.conv2d(v_BHLK, self.convolution, padding=(_KERNEL // 2, 0), groups=_HEADS)
        return tokens_BLE + self.out(mixed_BHLK.transpose(1, 2).reshape(batch, length, size)), attention_BL


def attend(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor, *, num_landmarks: int) -> tuple[Tensor, Tensor]:
    """Mixed values, (B, H, L, K), and the attention of the first token to all, (B, L), mean over heads.

    Args:
        q_BHLK: queries, scaled.
        k_BHLK: keys.
        v_BHLK: values.
        num_landmarks: means of neighbouring tokens that attention goes by; with as many tokens or fewer it is exact.
    """
    length = q_BHLK.shape[2]
    if length <= num_landmarks:
        attention_BHLL = (q_BHLK @ k_BHLK.transpose(2, 3)).softmax(dim=3)
        return attention_BHLL @ v_BHLK, attention_BHLL[:, :, 0].mean(dim=1)
    segments_L = torch.arange(length) * num_landmarks // length
    q_BHMK, k_BHMK = (_means(one, segments_L, num_landmarks) for one in (q_BHLK, k_BHLK))
    to_landmarks_BHLM = (q_BHLK @ k_BHMK.transpose(2, 3)).softmax(dim=3)
    between_BHMM = (q_BHMK @ k_BHMK.transpose(2, 3)).softmax(dim=3)
    from_landmarks_BHML = (q_BHMK @ k_BHLK.transpose(2, 3)).softmax(dim=3)
    inverse_BHMM = pseudo_inverse(between_BHMM)
    mixed_BHLK = to_landmarks_BHLM @ (inverse_BHMM @ (from_landmarks_BHML @ v_BHLK))
    first_BH1L = (to_landmarks_BHLM[:, :, :1] @ inverse_BHMM) @ from_landmarks_BHML
    return mixed_BHLK, first_BH1L[:, :, 0].mean(dim=1)


def pseudo_inverse(matrix_BHMM: Tensor) -> Tensor:
    """Moore-Penrose inverse by six steps of Razavi et al. (2014), from a start of its own for each matrix."""
    sizes = matrix_BHMM.abs()
    most = sizes.sum(dim=3).amax(dim=2) * sizes.sum(dim=2).amax(dim=2)
    inverse = matrix_BHMM.transpose(2, 3) / most[:, :, None, None]
    one = torch.eye(matrix_BHMM.shape[3], dtype=matrix_BHMM.dtype)
    for _ in range(_PINV_STEPS):
        product = matrix_BHMM @ inverse
        inverse = 0.25 * inverse @ (13 * one - product @ (15 * one - product @ (7 * one - product)))
    return inverse


def _means(tokens_BHLK: Tensor, segments_L: Tensor, num: int) -> Tensor:
    sums = tokens_BHLK.new_zeros(*tokens_BHLK.shape[:2], num, tokens_BHLK.shape[3])
    return sums.index_add(2, segments_L, tokens_BHLK) / torch.bincount(segments_L, minlength=num)[:, None]


def build_transmil(
    config: HeadConfig, *, num_features: int, num_classes: int, generator: torch.Generator | None = None
) -> TransMil:
    """TransMIL with fresh weights; arguments as `build_head`."""
    head = build_head(config, num_features=config.embedding_size, num_classes=num_classes, generator=generator)
    return TransMil(num_features, config.embedding_size, head, generator)
