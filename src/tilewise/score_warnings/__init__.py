"""What a person must know before believing a score: one list for the command line, the report and the library."""

from tilewise.score_warnings.all_warnings import TRUTH_SCHEMA, joined_warnings, read_warnings, run_warnings
from tilewise.score_warnings.run_facts import RunFacts

__all__ = ["TRUTH_SCHEMA", "RunFacts", "joined_warnings", "read_warnings", "run_warnings"]
