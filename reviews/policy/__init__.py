"""Whether a call of a tool runs, waits for a person or is denied."""

from core.deprecation import names_of

# Names that this module had before it was a package.
FORMER = (
    "DECLARED_FREE",
    "DECLARED",
    "FAILED",
    "UNCLEAR",
    "RISKS",
    "Match",
    "assess",
    "judge",
    "declared",
    "matched",
    "strict",
)

__getattr__ = names_of("reviews.policy.engine", FORMER)
