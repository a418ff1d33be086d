import subprocess
import sys

import pytest
from pydantic import ValidationError

from tilewise.stain.config import StainConfig, TrustConfig


def test_the_default_normalises_nothing():
    assert StainConfig().method == "none"


def test_unknown_keys_and_values_out_of_bounds_are_refused():
    with pytest.raises(ValidationError):
        StainConfig(metod="macenko")
    with pytest.raises(ValidationError):
        TrustConfig(min_angle=-1)


@pytest.mark.parametrize("options", [{"target": "some/slide.png"}, {"per": "tile"}])
def test_an_option_without_a_method_is_refused(options):
    with pytest.raises(ValidationError, match="do nothing"):
        StainConfig(**options)
    assert StainConfig(method="reinhard", **options)


def test_the_config_is_known_without_numpy():
    code = "import sys; from tilewise.stain import StainConfig; StainConfig(); print('numpy' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "False"
