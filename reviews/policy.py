"""Whether a tool call is allowed, denied or reviewed, and on which terms."""

from agents.terms import Call, Terms, Verdict

DECLARED_FREE = "declared free"
DECLARED = "declared by the tool"


def assess(call: Call) -> Verdict:
    """The tool's own declaration; a tool that declares nothing is reviewed by reviewers (Declaration's default)."""
    if call.declared is None:
        return Verdict("allow", DECLARED_FREE, Terms(), None)
    return Verdict("review", DECLARED, call.declared, call.declared)
