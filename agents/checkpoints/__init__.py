"""LangGraph's state of the runs, and the fence around it."""

from core.deprecation import some_names_of

# Names that this module had before it was a package.
FORMER = ("FencedPostgresSaver", "FencedSqliteSaver", "saver_of", "create_tables", "close_pools")

__getattr__ = some_names_of("agents.checkpoints", "agents.checkpoints.fenced_saver", FORMER)
