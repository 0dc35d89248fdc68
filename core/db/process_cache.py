"""Cache of this process, for what may be out of date for STALENESS_SECONDS.

It is none of settings.CACHES, which may be shared, and which a deployment may replace. Each hit is a copy, so that no
request changes another's.
"""

from django.core.cache.backends.locmem import LocMemCache

process = LocMemCache("agentsite", {"OPTIONS": {"MAX_ENTRIES": 1_000}})
