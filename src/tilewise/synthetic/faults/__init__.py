"""Planted faults of every kind that the audit must find, with their truth.

Each module draws one sort of fault onto pixels and masks that are given, and stands alone: `cartoons`, `blobs`, `pens`,
`copies`, `sections`, `masks`, `quality` work on arrays, `files` on bytes. `plan` says which slide of a cohort gets
which fault, `plant` draws it, `truth` writes and reads `truth/faults.csv`.
"""

from tilewise.synthetic.faults.truth import PlantedFault, read_faults

__all__ = ["PlantedFault", "read_faults"]
