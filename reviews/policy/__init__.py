"""Policy rules: evaluation, conditions, dry run, and the services that change them."""

from core.deprecation import some_names_of

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

__getattr__ = some_names_of("reviews.policy", "reviews.policy.engine", FORMER)
