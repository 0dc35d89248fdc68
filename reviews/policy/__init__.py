"""Policy that decides whether a tool call runs, is reviewed or is denied."""

from core.deprecation import moved

__getattr__ = moved("reviews.policy", "reviews.policy.engine", "assess")
