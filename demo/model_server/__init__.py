"""The rule model: a small OpenAI-compatible server for a first run without a key and for tests over real HTTP.

It follows a few rules in place of a neural network: the table is in `rules`, what it can do wrong on request is in
`misbehaviours`. It imports neither Django nor the project, which keeps it at about 22 MB.
"""

from demo.model_server.server import RuleModel, serve

__all__ = ["RuleModel", "serve"]
