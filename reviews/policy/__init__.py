"""Whether a call of a tool runs, waits for a person or is denied."""

from core.deprecation import moved

__getattr__ = moved("reviews.policy", "reviews.policy.engine", "assess")
