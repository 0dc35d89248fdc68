"""The audit log: its entries, and the database's refusal to change them."""

from core.deprecation import some_names_of

# Names that this module had before it was a package.
FORMER = (
    "SYSTEM",
    "FORMATS",
    "COLUMNS",
    "ACTOR_LENGTH",
    "CHUNK",
    "digest",
    "decided",
    "claim",
    "rule",
    "let_through",
    "denied",
    "pause",
    "exported",
)

__getattr__ = some_names_of("reviews.audit", "reviews.audit.log", FORMER)
