"""A desk to look at: what `manage.py seed_demo` fills it with, and the tools that the seeded calls are of.

Everything is made by the real services and the real agent; only the model's words come from `texts/`. So a seeded
review has its checkpoint, and once it is decided the run goes on like any other. `play` acts the texts out, `times`
dates back what came of it, `tools` are what the calls are of.
"""

SUFFIX = "@demo"  # of every user_id, account and rule that is made: how they are found again
TOOLS = "demo.tools"  # what AGENT_TOOLS has to name, here and in the workers
