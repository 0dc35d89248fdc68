"""LangChain's clients for OpenAI-compatible endpoints, adapted to those that deviate from OpenAI's own."""

from collections.abc import Sequence
from contextvars import ContextVar
from functools import cache, partial
from typing import Any

import openai
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai.chat_models.base import BaseChatOpenAI

from agents.runtime.endpoints import listening, responses, returned_fields, streamed
from agents.runtime.middleware.answers import told, worded
from core.text import digest, storable

_taking_nothing: ContextVar[frozenset[str]] = ContextVar("tools of the current request that take no arguments")


def compatible(model: BaseChatModel) -> BaseChatModel:
    """Return a copy of the model that reads irregular answers. A model of any other client is returned unchanged.

    The original does not change.
    """
    if not isinstance(model, BaseChatOpenAI) or isinstance(model, Compatible):
        return model
    update: dict[str, Any] = {"client": _Completions(model.client)} if model.client is not None else {}
    if "disable_streaming" not in model.model_fields_set:
        # Streamed arguments are parsed before they are complete: truncated ones would look like valid calls.
        update |= {"disable_streaming": True, "streaming": False}
    copy = model.model_copy(update=update)
    object.__setattr__(copy, "__class__", _compatible_class(type(model)))
    return copy


class Compatible:
    """Mixin, put in front of a client's class, that reads irregular answers part by part.

    It also sends back the fields that the endpoint expects to see again.
    """

    model_name: str
    root_client: Any

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, *args: Any, **kwargs: Any
    ) -> ChatResult:
        token = _taking_nothing.set(_without_parameters(kwargs.get("tools") or ()))
        try:
            return super()._generate(messages, stop, *args, **kwargs)  # type: ignore[misc]
        finally:
            _taking_nothing.reset(token)

    def _create_chat_result(
        self, response: dict[str, Any] | openai.BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        body = response if isinstance(response, dict) else _dumped(response)
        choices = body.get("choices")
        if body.get("error") or not isinstance(choices, list) or not all(map(_has_message, choices)):
            return super()._create_chat_result(response, generation_info)  # type: ignore[misc]  # it reports what is wrong
        nothing = set(_taking_nothing.get(frozenset()))
        origin = self._origin()
        found = [responses.read(one["message"], one.get("finish_reason"), origin, nothing) for one in choices]
        plain = [
            {"message": one.plain, **{key: storable(choice.get(key)) for key in ("finish_reason", "logprobs")}}
            for one, choice in zip(found, choices, strict=True)
        ]
        sane = {**responses.envelope(body), "choices": plain}
        result: ChatResult = super()._create_chat_result(sane, generation_info)  # type: ignore[misc]
        for generation, one in zip(result.generations, found, strict=True):
            if isinstance(generation.message, AIMessage):
                one.complete(generation.message)
        hearing = listening.current()
        if hearing is not None and hearing.knows(told_id := body.get(listening.MESSAGE_ID)) and result.generations:
            result.generations[0].message.additional_kwargs[listening.MESSAGE_ID] = told_id
        if not isinstance(response, dict) and (parsed := _parsed(response)) is not None:
            result.generations[0].message.additional_kwargs["parsed"] = parsed
        return result

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        messages = told(worded(self._convert_input(input_).to_messages()))  # type: ignore[attr-defined]
        payload: dict[str, Any] = super()._get_request_payload(messages, stop=stop, **kwargs)  # type: ignore[misc]
        if "messages" in payload:  # else it is for OpenAI's Responses API
            origin = self._origin()
            for message, sent in zip(messages, payload["messages"], strict=True):
                returned_fields.give_back(message, sent, origin)
        return payload

    def _origin(self) -> str:
        """Identify this endpoint and model: fields that another one signed are of no use to it, and may be refused."""
        return digest(str(getattr(self.root_client, "base_url", "")), str(self.model_name))[:16]


@cache
def _compatible_class(cls: type[BaseChatOpenAI]) -> type[BaseChatOpenAI]:
    own = {"__module__": cls.__module__, "__doc__": cls.__doc__}
    return type(f"Compatible{cls.__name__}", (Compatible, cls), own)


def _without_parameters(tools: Sequence[Any]) -> frozenset[str]:
    functions = [tool.get("function", {}) for tool in tools if isinstance(tool, dict)]
    return frozenset(one["name"] for one in functions if not (one.get("parameters") or {}).get("properties"))


def _dumped(response: openai.BaseModel) -> dict[str, Any]:
    return response.model_dump(exclude={"choices": {"__all__": {"message": {"parsed"}}}}, warnings=False)


def _parsed(response: Any) -> Any:
    """Return the object that the client parsed from an answer in a requested format, or None."""
    return getattr(response.choices[0].message, "parsed", None) if response.choices else None


def _has_message(choice: Any) -> bool:
    return isinstance(choice, dict) and isinstance(choice.get("message"), dict)


class _Wrapped:
    """Proxy of an object: subclasses replace single attributes of it."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        if name == "_wrapped":  # not set yet while the proxy is copied
            raise AttributeError(name)
        return getattr(self._wrapped, name)


class _Completions(_Wrapped):
    """The client's completions, with lenient reading of their responses."""

    def __init__(self, wrapped: Any) -> None:
        super().__init__(wrapped)
        self._asker = streamed.Asker()

    @property
    def with_raw_response(self) -> "_Raw":
        return _Raw(self._wrapped.with_raw_response, self._asker)


class _Raw(_Wrapped):
    def __init__(self, wrapped: Any, asker: streamed.Asker) -> None:
        super().__init__(wrapped)
        self._asker = asker

    def create(self, **request: Any) -> Any:
        """Send the request. Messages and tools go by `extra_body`, which the SDK joins to the body as it is.

        Else it walks them in search of names with an alias, of which they have none: with five tools, that takes more
        CPU than to send the request. LangChain has made plain JSON of them.
        """
        large = {name: request.pop(name) for name in ("messages", "tools") if name in request}
        own = request.pop("extra_body", None) or {}
        send = partial(self._wrapped.create, messages=(), extra_body={**large, **own}, **request)
        hearing = listening.current()
        if hearing is not None and not request.get("stream"):
            return self._asker.ask(send, hearing)
        response = send()
        return response if request.get("stream") else _Response(response)


class _Response(_Wrapped):
    """A response whose body `responses.decoded` reads: the client's own parser would reject the whole body."""

    def parse(self) -> Any:
        body = responses.decoded(self._wrapped.http_response.content)
        return body if isinstance(body, dict) else self._wrapped.parse()
