"""Policies on tool calls and their verdicts, and declarations of tools: without LangChain or Django."""

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from typing_extensions import override

from core.text import canonical

if TYPE_CHECKING:
    from agents.models import ToolCall  # which needs Django; this module does not

ResponseType = Literal["accept", "edit", "response", "reject"]
RESPONSE_TYPES: tuple[ResponseType, ...] = ("accept", "edit", "response", "reject")
DAY = 86_400.0  # seconds

REQUESTER = "requester"  # the task's owner, and the principal that submitted it
REVIEWERS = "reviewers"  # everyone with the permission reviews.decide_review
GROUP = "group:"  # + a Django group's name: its members among the reviewers

STAND, ASK_AGAIN = "stand", "ask_again"  # values of the setting DECISIONS_OF_FORMER_REVIEWERS


@dataclass(frozen=True)
class Terms:
    """Terms under which a call is reviewed."""

    risk: Literal["low", "medium", "high"] = "medium"
    deciders: tuple[str, ...] = (REVIEWERS,)  # REQUESTER, REVIEWERS, "group:<name>"
    distinct: bool = False  # requester and decider must differ
    seconds: float = 7 * DAY  # time to decide in; an approval stays valid for as long
    on_expiry: Literal["reject", "wait"] = "reject"
    allowed: tuple[ResponseType, ...] = RESPONSE_TYPES


@dataclass(frozen=True)
class Declaration:
    """Properties that a tool declares. A call of a tool that declares nothing is reviewed by reviewers."""

    review: Terms | None = field(default_factory=Terms)  # None: free, runs unreviewed unless a rule says otherwise
    idempotent: bool = False  # running it again with the same idempotency key has no second effect
    plain_result: bool = False  # its results hold no text from outside, so they can't plant a memory
    preview: Callable[[dict[str, Any]], str] | None = None  # describes to the reviewer what the call would do


UNDECLARED = Declaration()
_KEY = "agentsite"
Tool = TypeVar("Tool")


def declare(declaration: Declaration) -> Callable[[Tool], Tool]:
    """Return a decorator that attaches the declaration to the tool. Use it above LangChain's `@tool`."""

    def attach(tool: Tool) -> Tool:
        tool.metadata = {**(getattr(tool, "metadata", None) or {}), _KEY: declaration}  # type: ignore[attr-defined]
        return tool

    return attach


def declaration_of(tool: Any) -> Declaration:
    """Return the tool's declaration, or UNDECLARED if it has none."""
    found = (getattr(tool, "metadata", None) or {}).get(_KEY)
    return found if isinstance(found, Declaration) else UNDECLARED


@dataclass(frozen=True)
class Call:
    """A tool call to be judged. Its arguments are validated and coerced, exactly as they are hashed and run."""

    tool: str
    args: dict[str, Any]
    user_id: str
    agent: str
    declared: Terms | None  # None: the tool declares itself free
    session: str = ""  # internal id of the session


Action = Literal["allow", "deny", "review"]


@dataclass(frozen=True)
class Verdict:
    """A policy's verdict on a call. Frozen on the interrupt, so that a later change of the policy releases nothing."""

    action: Action
    rule: str  # that gave the verdict, for the reviewer and the log
    terms: Terms = field(default_factory=Terms)
    declared: Terms | None = None
    reason: str = ""  # of a denial; passed to the model
    rule_id: int | None = None  # of the PolicyRule that gave it; an allow by it is counted when the call is entered

    def __post_init__(self) -> None:
        """Raise ValueError for another action: what is neither denied nor reviewed would run."""
        if self.action not in get_args(Action):
            raise ValueError(f"The action of a verdict must be allow, deny or review, not {self.action!r}.")

    def to_text(self) -> str:
        """Return canonical JSON, the form in which the verdict is stored and hashed."""
        return canonical(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "Verdict":
        """Restore a verdict from the text that `to_text` returned."""
        data = json.loads(text)
        return cls(
            **{**data, "terms": _terms(data["terms"]), "declared": data["declared"] and _terms(data["declared"])}
        )


def _terms(data: dict[str, Any]) -> Terms:
    return Terms(**{**data, "deciders": tuple(data["deciders"]), "allowed": tuple(data["allowed"])})


Policy = Callable[[Call], Verdict]  # a function that judges


class BasePolicy(ABC):
    """Base class of policies, which judge tool calls and keep records of the calls that they allow and deny.

    `AGENTS[…]["POLICY"]` names a subclass, an instance, or a function that only judges. One instance serves all threads
    of a process. Policies are used in workers and, for edited arguments, in the web process.
    """

    @abstractmethod
    def assess(self, call: Call) -> Verdict:
        """Judge the call. Any exception stops the task; it never lets the call through."""

    def __call__(self, call: Call) -> Verdict:
        """Judge the call, as a function does."""
        return self.assess(call)

    def judge(self, call: Call) -> Verdict:
        """Return the verdict of `assess`, with what the tool declares.

        The terms are the declared ones if the policy says nothing of either.
        """
        verdict = self.assess(call)
        gives_none = verdict.declared is None and verdict.terms == Terms()
        terms = call.declared or Terms() if gives_none else verdict.terms
        return replace(verdict, declared=call.declared, terms=terms)

    def consume(self, row: "ToolCall", rule_id: int) -> bool:
        """Count one use of the rule that lets this call through. Returns False if the rule allows no more.

        Called in the transaction that enters the call in the ledger, for an allow with a `rule_id`. A policy that gives
        such verdicts has to count them: one that does not can't let these calls through.
        """
        raise NotImplementedError(
            f"{type(self).__name__} returns verdicts with a rule_id, so it must implement `consume`."
        )

    def give_back(self, row: "ToolCall", rule_id: int) -> None:
        """Undo `consume`: the call has not run, and will be judged again. Called in the transaction that removes it."""
        raise NotImplementedError(
            f"{type(self).__name__} returns verdicts with a rule_id, so it must implement `give_back`."
        )

    @abstractmethod
    def record_denial(self, denied: "Denied") -> bool:
        """Record that a call was denied, which has no row in the ledger. Returns False if it is recorded already."""


@dataclass(frozen=True)
class Denied:
    """A call that the policy denied."""

    task: uuid.UUID
    call: uuid.UUID  # its idempotency key, the same each time
    tool: str
    args_text: str
    rule_id: int | None


class FunctionPolicy(BasePolicy):
    """Policy that judges with a function and leaves the records to another policy."""

    def __init__(self, function: Policy, records: BasePolicy) -> None:
        self.function, self.records = function, records

    @override
    def assess(self, call: Call) -> Verdict:
        return self.function(call)

    @override
    def consume(self, row: "ToolCall", rule_id: int) -> bool:
        return self.records.consume(row, rule_id)

    @override
    def give_back(self, row: "ToolCall", rule_id: int) -> None:
        self.records.give_back(row, rule_id)

    @override
    def record_denial(self, denied: Denied) -> bool:
        return self.records.record_denial(denied)
