"""Where a run sees its class: tile probabilities, attention and Grad-CAM, drawn on the slides."""
