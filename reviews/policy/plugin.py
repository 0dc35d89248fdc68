"""Policy that applies the admin's rules, for use in `AGENTS[…]["POLICY"]`."""

from typing_extensions import override

from agents.models import ToolCall
from agents.policy import BasePolicy, Call, Denied, Verdict
from reviews.audit import log
from reviews.policy import engine, rules


class RulesPolicy(BasePolicy):
    """Policy of the admin's rules and the tools' declarations. The audit log records uses and denials."""

    @override
    def assess(self, call: Call) -> Verdict:
        return engine.assess(call)

    @override
    def consume(self, row: ToolCall, rule_id: int) -> bool:
        return rules.admit(row, rule_id)

    @override
    def give_back(self, row: ToolCall, rule_id: int) -> None:
        rules.give_back(rule_id)

    @override
    def record_denial(self, denied: Denied) -> bool:
        return log.denied(denied)
