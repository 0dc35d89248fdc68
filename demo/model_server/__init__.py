"""Rule model: a small OpenAI-compatible server for a first run without a key and for tests over real HTTP.

It follows a few rules instead of a neural network: `rules` has the table, `misbehaviours` the errors that it makes on
request. It imports neither Django nor the project, which keeps it at about 22 MB.
"""

from demo.model_server.server import RuleModel, serve

__all__ = ["RuleModel", "serve"]
