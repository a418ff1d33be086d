"""Is what lies in the tissue's outline stained tissue, and which stain is it?"""

from tilewise.auditing.histology.distance import cohort_distance
from tilewise.auditing.histology.facts import HistologyFacts, measure_histology
from tilewise.auditing.histology.judge import Evidence, histology_score, not_histology, own_evidence
from tilewise.auditing.histology.other_stain import other_stain

__all__ = [
    "Evidence",
    "HistologyFacts",
    "cohort_distance",
    "histology_score",
    "measure_histology",
    "not_histology",
    "other_stain",
    "own_evidence",
]
