"""Tool of the agent `approval`, which records when it starts."""

import os
import time
from pathlib import Path

from langchain_core.tools import tool

from agents.policy import REQUESTER, Declaration, Terms, declare


@declare(Declaration(review=Terms(deciders=(REQUESTER,)), plain_result=True))
@tool
def note_start(text: str) -> str:
    """Write the time, in seconds since 1970, to the file that BENCH_STARTED names."""
    Path(os.environ["BENCH_STARTED"]).write_text(f"{time.time()}")
    return text
