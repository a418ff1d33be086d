"""Which slides of a cohort look most like an example?"""

from tilewise.auditing.similar.find import PREFERRED, Neighbour, SimilarSlides, choose_encoder, find_similar

__all__ = ["PREFERRED", "Neighbour", "SimilarSlides", "choose_encoder", "find_similar"]
