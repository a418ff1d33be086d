"""The service loads what predicts, and nothing that trains."""

import subprocess
import sys


def test_neither_the_service_nor_its_workers_import_training():
    modules = (
        "tilewise.serving.prediction_api.serve_api, tilewise.serving.prediction_api.app, tilewise.pipeline.predict"
    )
    code = f"import sys, {modules}; print([n for n in sys.modules if n.split('.')[:2] == ['tilewise', 'training']])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
