"""Demo data that `manage.py seed_demo` creates, and the tools that its calls use.

The real services and the real agent create everything; only the model's replies come from `texts/`. So a seeded review
has its checkpoint, and its run continues after the decision like any other. `play` runs the tasks of the texts, `times`
backdates their rows, and `tools` defines the tools.
"""

SUFFIX = "@demo"  # ends every user_id, username and rule's user pattern of the demo, to find them again
TOOLS = "demo.tools"  # required in AGENT_TOOLS, here and in the workers
