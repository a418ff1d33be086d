"""Limits of the service, and the options that set them."""

import inspect

import pytest
from pydantic import ValidationError

from tilewise.cli.serve import serve
from tilewise.serving.prediction_api.config import ServiceConfig


def test_the_command_has_an_option_for_each_limit_of_a_request_with_the_same_default():
    options = {name: one.default for name, one in inspect.signature(serve).parameters.items()}
    limits = {name: field.default for name, field in ServiceConfig.model_fields.items()}
    own = limits.keys() - {"host", "port", "map_megabytes", "map_minutes"}
    assert own <= options.keys()
    assert {name: options[name] for name in own} == {name: limits[name] for name in own}


@pytest.mark.parametrize("limits", [{"port": -1}, {"max_megapixels": 401}, {"predict_seconds": 0}, {"workers": 0}])
def test_a_limit_that_cannot_be_is_refused(limits):
    with pytest.raises(ValidationError):
        ServiceConfig(**limits)
