"""Near copies of slides, and neighbouring sections of one block."""

from tilewise.auditing.copies.compare import Pair
from tilewise.auditing.copies.find import find_pairs
from tilewise.auditing.copies.fingerprint import Fingerprint, measure_fingerprint

__all__ = ["Fingerprint", "Pair", "find_pairs", "measure_fingerprint"]
