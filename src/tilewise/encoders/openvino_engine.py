"""OpenVINO as the engine: the fastest one on a processor.

The network is traced once with its fixed input shape, the normalisation becomes part of the graph, and every thread
runs batches of its own, so that a tile's bytes depend neither on the number of threads nor on what runs beside it.
"""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.plan import Plan
from tilewise.encoders.preprocess import Tiles, batches, normalisation

_log = logging.getLogger(__name__)


class OpenVinoEngine:
    """A network compiled for the processor, with one stream of inference per thread."""

    def __init__(self, network: nn.Module, card: EncoderCard, plan: Plan) -> None:
        self._card, self._plan = card, plan
        openvino = import_openvino()
        shape = (plan.batch_size, card.input_px, card.input_px)
        model = _with_normalisation(openvino, _traced(network, shape), card, shape)
        self._compiled = _core().compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if plan.precision == "bfloat16" else "f32",
                "INFERENCE_NUM_THREADS": plan.threads,
                "NUM_STREAMS": plan.threads,
                # Several processes on one machine would all be pinned to the same cores.
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._queue = openvino.AsyncInferQueue(self._compiled, plan.threads)

    def encode(self, tiles_NHWC: Tiles) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Tiles of any size to features (N, dim)."""
        features_ND = np.empty((len(tiles_NHWC), self._card.dim), np.float32)

        def keep(request: Any, rows: slice) -> None:
            features_ND[rows] = request.get_output_tensor(0).data[: rows.stop - rows.start]

        self._queue.set_callback(keep)
        for rows, batch in batches(tiles_NHWC, self._card.input_px, self._plan.batch_size):
            self._queue.start_async({0: batch}, rows)
        self._queue.wait_all()
        return features_ND


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry, which would otherwise report the import over the network.

    OpenVINO does without the telemetry package where that cannot be imported; this makes sure it cannot, for the rest
    of the process.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


@cache
def _core() -> Any:
    """OpenVINO itself, until the process ends.

    Where a processor has AMX it gives the thread that starts it a stack for signals, which it frees where it is let go
    of, be it in another thread: the next signal, such as Ctrl-C, would then end the process with a segmentation fault.
    """
    return import_openvino().Core()


def _traced(network: nn.Module, shape: tuple[int, int, int]) -> Any:
    """The network as OpenVINO's graph, through its front end; `convert_model` would report the conversion."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # Two images tell the batch from every axis of length one, and cost less to trace than a whole batch.
    example = torch.zeros(2, 3, *shape[1:])
    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings(), torch.no_grad():
        # Tracing warns of every shape it fixes; fixed shapes are what is wanted here.
        warnings.simplefilter("ignore")
        # The trace is not run again to be compared with itself: it is compared with torch by the tests.
        options = {"check_trace": False}
        decoder = TorchScriptPythonDecoder(network.eval(), example_input=(example,), trace_kwargs=options)
        model = frontend.convert(frontend.load(decoder))
    model.reshape([shape[0], 3, *shape[1:]])
    return model


def _with_normalisation(openvino: ModuleType, model: Any, card: EncoderCard, shape: tuple[int, int, int]) -> Any:
    from openvino.preprocess import PrePostProcessor

    mean, std = normalisation(card)
    steps = PrePostProcessor(model)
    layout = openvino.Layout("NHWC")
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(layout).set_shape([*shape, 3])
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).mean(mean.tolist()).scale(std.tolist())
    steps.output().tensor().set_element_type(openvino.Type.f32)
    return steps.build()
