"""Models that functions of an extender's own make."""

from django.conf import settings
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

NAME = "odd-args-list"


class Derived(ChatOpenAI):
    """A class of its own, as many providers' packages have."""


def plain() -> BaseChatModel:
    """A `ChatOpenAI` as it comes."""
    return ChatOpenAI(model=NAME, base_url=settings.OPENAI_BASE_URL, api_key=SecretStr("x"), max_retries=0)


def derived() -> BaseChatModel:
    """One of a class derived from it, which streams."""
    url = settings.OPENAI_BASE_URL
    return Derived(model=NAME, base_url=url, api_key=SecretStr("x"), max_retries=0, streaming=True)
