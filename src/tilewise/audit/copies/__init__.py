"""Near copies of slides, and neighbouring sections of one block."""

from tilewise.audit.copies.find import find_pairs
from tilewise.audit.copies.fingerprint import Fingerprint, measure_fingerprint
from tilewise.audit.copies.pair import Pair

__all__ = ["Fingerprint", "Pair", "find_pairs", "measure_fingerprint"]
