"""Tools that call others, and tools that LangChain passes something else than what was agreed to."""

from typing import Annotated, Any

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool, tool
from pydantic import AfterValidator, BaseModel
from typing_extensions import override

from agents.policy import Declaration, declare
from agents.runtime import registry
from tests.support.oracle import trace


def _answer_of_sub_agent(text: str) -> str:
    agent = registry.agent("default")
    inner = create_agent(agent.model(), tools=list(agent.tools))
    return str(inner.invoke({"messages": [HumanMessage(text)]})["messages"][-1].content)


@declare(Declaration(review=None))
@tool
def delegate(text: str) -> str:
    """Free: has a sub-agent do it."""
    return _answer_of_sub_agent(text)


@tool
def delegate_reviewed(text: str) -> str:
    """Reviewed: has a sub-agent do it."""
    return _answer_of_sub_agent(text)


@declare(Declaration(review=None))
@tool
def relay(amount: float) -> str:
    """Free: calls another tool by itself."""
    charge = registry.agent("default").tool("charge")
    assert charge is not None
    return f"relayed: {charge.invoke({'amount': amount})}"


@tool
def configured(amount: float, config: str = "prod") -> str:
    """Has an argument by a name that LangChain keeps for itself."""
    trace(f"configured {amount:g} {config}")
    return "done"


@tool
def on_behalf(amount: float, user: Annotated[str, InjectedToolArg] = "nobody") -> str:
    """Has an argument that the model is not to fill in."""
    trace(f"on_behalf {amount:g} {user}")
    return "done"


class Inverse(BaseModel):
    amount: Annotated[float, AfterValidator(lambda value: 1 / value)]


@tool(args_schema=Inverse)
def inverse(amount: float) -> str:
    """Its schema raises what pydantic does not expect."""
    trace(f"inverse {amount:g}")
    return "done"


class OnlyAsync(BaseTool):
    name: str = "only_async"
    description: str = "A class of its own that has only a coroutine."

    @override
    def _run(self, amount: float) -> str:
        raise NotImplementedError

    @override
    async def _arun(self, amount: float) -> str:
        trace(f"only_async {amount:g}")
        return "done"


class Around(StructuredTool):
    @override
    def _run(self, *args: Any, config: RunnableConfig, **kwargs: Any) -> Any:
        return super()._run(*args, config=config, **kwargs)


def _around(amount: float) -> str:
    trace(f"around {amount:g}")
    return "done"


only_async = OnlyAsync()
around = Around.from_function(_around, name="around", description="A class around its function.")
