"""Which slides of a cohort look most like an example?"""

from tilewise.audit.similar.find import PREFERRED, Neighbour, Similar, choose_encoder, find_similar

__all__ = ["PREFERRED", "Neighbour", "Similar", "choose_encoder", "find_similar"]
