"""`ChatOpenAI` for endpoints that are only nearly like OpenAI's."""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Self

import openai
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from pydantic import model_validator
from typing_extensions import override

from agents.compatible import reading, returned
from agents.graphs.answers import told, worded
from agentsite.core.text import digest, storable

_taking_nothing: ContextVar[frozenset[str]] = ContextVar("tools of the current request that take no arguments")


class CompatibleChat(ChatOpenAI):
    """Reads odd answers part by part, and sends back what the endpoint wants to see again."""

    disable_streaming: bool = True  # arguments in pieces are parsed before they are whole, so cut ones look like calls

    @model_validator(mode="after")
    def _read_bodies(self) -> Self:
        if self.client is not None and not isinstance(self.client, _Completions):
            self.client = _Completions(self.client)
        return self

    @override
    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, *args: Any, **kwargs: Any
    ) -> ChatResult:
        token = _taking_nothing.set(_without_parameters(kwargs.get("tools") or ()))
        try:
            return super()._generate(messages, stop, *args, **kwargs)
        finally:
            _taking_nothing.reset(token)

    @override
    def _create_chat_result(
        self, response: dict[str, Any] | openai.BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        body = response if isinstance(response, dict) else _dumped(response)
        choices = body.get("choices")
        if body.get("error") or not isinstance(choices, list) or not all(map(_has_message, choices)):
            return super()._create_chat_result(response, generation_info)  # it says what is wrong
        nothing = set(_taking_nothing.get(frozenset()))
        origin = self._origin()
        found = [reading.read(one["message"], one.get("finish_reason"), origin, nothing) for one in choices]
        plain = [
            {"message": one.plain, **{key: storable(choice.get(key)) for key in ("finish_reason", "logprobs")}}
            for one, choice in zip(found, choices, strict=True)
        ]
        result = super()._create_chat_result({**reading.envelope(body), "choices": plain}, generation_info)
        for generation, one in zip(result.generations, found, strict=True):
            if isinstance(generation.message, AIMessage):
                one.complete(generation.message)
        if not isinstance(response, dict) and (parsed := _parsed(response)) is not None:
            result.generations[0].message.additional_kwargs["parsed"] = parsed
        return result

    @override
    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        messages = told(worded(self._convert_input(input_).to_messages()))
        payload: dict[str, Any] = super()._get_request_payload(messages, stop=stop, **kwargs)
        if "messages" in payload:  # else it is for OpenAI's Responses API
            origin = self._origin()
            for message, sent in zip(messages, payload["messages"], strict=True):
                returned.give_back(message, sent, origin)
        return payload

    def _origin(self) -> str:
        """Name this endpoint and model: what another one signed is of no use to it, and may be refused."""
        return digest(str(self.openai_api_base or ""), self.model_name)[:16]


def _without_parameters(tools: Sequence[Any]) -> frozenset[str]:
    functions = [tool.get("function", {}) for tool in tools if isinstance(tool, dict)]
    return frozenset(one["name"] for one in functions if not (one.get("parameters") or {}).get("properties"))


def _dumped(response: openai.BaseModel) -> dict[str, Any]:
    return response.model_dump(exclude={"choices": {"__all__": {"message": {"parsed"}}}}, warnings=False)


def _parsed(response: Any) -> Any:
    """Return what the client made of an answer in a format that was asked for."""
    return getattr(response.choices[0].message, "parsed", None) if response.choices else None


def _has_message(choice: Any) -> bool:
    return isinstance(choice, dict) and isinstance(choice.get("message"), dict)


class _Wrapped:
    """Everything of the wrapped object, but for what a subclass does in another way."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        if name == "_wrapped":  # while it is copied
            raise AttributeError(name)
        return getattr(self._wrapped, name)


class _Completions(_Wrapped):
    """The client's completions, whose responses are read leniently."""

    @property
    def with_raw_response(self) -> "_Raw":
        return _Raw(self._wrapped.with_raw_response)


class _Raw(_Wrapped):
    def create(self, **request: Any) -> Any:
        response = self._wrapped.create(**request)
        return response if request.get("stream") else _Response(response)


class _Response(_Wrapped):
    """A response whose body is read by `reading`: the client's own parser gives up on all of it."""

    def parse(self) -> Any:
        body = reading.decoded(self._wrapped.http_response.content)
        return body if isinstance(body, dict) else self._wrapped.parse()
