"""How a network is run: a rule, not a race, so that the same machine gives the same bytes again."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from tilewise.compute import computes_bfloat16, default_threads, instruction_set
from tilewise.encoders.card import EncoderCard
from tilewise.encoders.config import EncoderConfig, Engine, Precision
from tilewise.errors import UsageError

# Measured by benchmarks/encoders.py: small calls stay in the processor's cache, a GPU wants large ones.
_BATCH_SIZES = {"openvino": 8, "torch": 32, "cuda": 128}


# Rounding adds up over MobileNetV1's 27 layers, which no residual connection bridges: in bfloat16 a tile's features,
# the mean over tiles subtracted, keep a cosine of only 0.98 to those in float32. So it does in EfficientNet-Lite, on
# real tiles with its trained weights. Both are small enough to run in float32.
_FLOAT32_FAMILIES = frozenset({"efficientnet_lite", "mobilenet_v1"})


@dataclass(frozen=True)
class Plan:
    """Engine, device, precision, batch size and threads, all of them chosen.

    Attributes:
        engine: which library computes.
        device: `cpu` or `cuda`.
        precision: of weights and activations inside the network; features are float32 in any case.
        batch_size: tiles per call, always: the last call is padded.
        threads: processor threads.
        instructions: the instruction set the processor computes with.
        library: name and version of the engine's package, and what it is used with.
    """

    engine: Engine
    device: str
    precision: Precision
    batch_size: int
    threads: int
    instructions: str
    library: str


def make_plan(card: EncoderCard, config: EncoderConfig) -> Plan:
    """Choose what the config leaves at `auto`, by installed packages, processor and card.

    The engine is torch where there is a GPU, else OpenVINO where it is installed. The precision is bfloat16 where the
    device multiplies it in hardware.

    Raises:
        UsageError: what the config asks for is not there.
    """
    device = "cuda" if config.engine != "openvino" and _has_cuda() else "cpu"
    engine = config.engine
    if engine == "auto":
        engine = "torch" if device == "cuda" or find_spec("openvino") is None else "openvino"
    if engine == "openvino" and find_spec("openvino") is None:
        raise UsageError(
            "encoder.engine: openvino is not installed; run `pip install 'tilewise[fast]'`, or set encoder.engine=auto"
        )
    return Plan(
        engine=engine,
        device=device,
        precision=_precision(card, config, engine, device),
        batch_size=config.batch_size or _BATCH_SIZES[device if device == "cuda" else engine],
        threads=config.threads or default_threads(),
        instructions=instruction_set(),
        library=_library(engine),
    )


def _precision(card: EncoderCard, config: EncoderConfig, engine: Engine, device: str) -> Precision:
    able = _cuda_computes_bfloat16() if device == "cuda" else computes_bfloat16()
    if config.precision == "auto":
        return "bfloat16" if able and card.family not in _FLOAT32_FAMILIES else "float32"
    if config.precision == "bfloat16" and engine == "openvino" and not able:
        raise UsageError(
            f"encoder.precision: this processor ({instruction_set()}) does not compute in bfloat16, and OpenVINO would "
            "silently take float32; set encoder.precision=auto"
        )
    return config.precision


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _cuda_computes_bfloat16() -> bool:
    import torch

    return torch.cuda.get_device_capability()[0] >= 8


def _library(engine: Engine) -> str:
    # Older versions of tilewise ran BatchNorms as layers of their own, which rounds otherwise.
    folded = ", BatchNorm folded" if engine == "torch" else ""
    try:
        return f"{engine} {version(engine)}{folded}"
    except PackageNotFoundError:  # a package without metadata, such as one that a distribution has repackaged
        return engine
