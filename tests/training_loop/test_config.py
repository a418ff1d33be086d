"""Options that would be ignored are refused, and configs load without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from tilewise.training_loop import (
    LossConfig,
    MixConfig,
    OptimizerConfig,
    SamplingConfig,
    ScheduleConfig,
    StepConfig,
)


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (LossConfig, {"focal_gamma": 1.0}, "loss.focal_gamma has no effect with `kind: cross_entropy`"),
        (LossConfig, {"effective_beta": 0.9}, "set loss.class_weights=effective or drop it"),
        (OptimizerConfig, {"kind": "sgd", "betas": (0.9, 0.99)}, "optimizer.betas has no effect with `kind: sgd`"),
        (OptimizerConfig, {"kind": "lion", "epsilon": 1e-6}, "optimizer.epsilon has no effect"),
        (OptimizerConfig, {"momentum": 0.5}, "optimizer.momentum has no effect with `kind: adamw`"),
        (OptimizerConfig, {"kind": "radam", "lookahead_steps": 5}, "set optimizer.kind=ranger"),
        (ScheduleConfig, {"plateau_patience": 2}, "schedule.plateau_patience has no effect with `kind: cosine`"),
        (ScheduleConfig, {"kind": "constant", "least_share": 0.1}, "schedule.least_share has no effect"),
        (MixConfig, {"mixup_alpha": 0.4}, "mixup.mixup_alpha has no effect with `level: none`"),
        (MixConfig, {"level": "features", "cutmix_alpha": 1.0}, "set mixup.level=tiles"),
        (MixConfig, {"level": "tiles", "cutmix_share": 0.1}, "unless both alphas are above 0"),
        (SamplingConfig, {"tiles_per_slide": 8}, "set sampling.unit=slide"),
        (SamplingConfig, {"balance": "class", "rare_most": 2.0}, "set sampling.balance=rare"),
        (StepConfig, {"ema_warmup": False}, "no effect without ema_decay"),
        (StepConfig, {"clip_norm": 0.0}, "greater than 0"),
        (LossConfig, {"gamma": 1.0}, "Extra inputs"),
    ],
)
def test_what_has_no_effect_is_refused(config, values, message) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**values)


def test_configs_need_no_torch() -> None:
    code = (
        "import sys; from tilewise.training_loop import LossConfig, MixConfig; "
        "from tilewise.training.augment import AugmentConfig; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
