"""The service loads what predicts, and nothing that trains."""

import json
import subprocess
import sys

_CODE = """
import json, sys
from pathlib import Path
import tilewise.serving.prediction_api.serve_api
import tilewise.serving.prediction_api.service
from tilewise.run_folder import RunFolder
from tilewise.serving.prediction_api.model_card import read_model_card
from tilewise.serving.prediction_api.predict_slide import SlidePredictor
run, image, mask = map(Path, sys.argv[1:])
read_model_card(RunFolder(run))
body, picture = SlidePredictor.load(run, max_pixels=10**8).predict(image, mask, with_map=True)
training = [name for name in sys.modules if name.split(".")[:2] == ["tilewise", "training"]]
print(json.dumps([training, body["predicted"], len(picture)]))
"""


def test_neither_the_service_nor_its_workers_import_training(home):
    arguments = [home / "run", home / "new/images/img_0012.png", home / "new/masks/mask_0012.png"]
    done = subprocess.run([sys.executable, "-c", _CODE, *arguments], capture_output=True, text=True, check=True)
    training, predicted, num_bytes = json.loads(done.stdout)
    assert training == []
    assert predicted in {"A", "B"}
    assert num_bytes > 100
