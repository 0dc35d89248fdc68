"""The limit of the full way: the same graph in one process, without the service.

    python -m benchmarks.speed.bare_graph DATABASE MODEL_URL

`create_agent` with the same tool, a model over HTTP, and LangGraph's own saver on the same database: a pool of
connections to the PostgreSQL of this URL, or one connection to the SQLite file of this path.

LangGraph's saver holds a lock while it uses the database, so that a graph that is compiled once writes one checkpoint
at a time, whatever the number of connections. With `apart`, each run has a saver of its own.
"""

import os
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Iterable
from functools import partial
from typing import Any

os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"  # as the service sets it

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from benchmarks.speed.processes import answer_commands

POOL = 20  # connections: the service's own size of a pool


@tool
def multiply(a: float, b: float) -> str:
    """Multiply two numbers."""
    return f"{a * b:.15g}"


def saver_of(database: str) -> Any:
    """Return a saver whose tables exist."""
    if database.startswith("postgres"):
        options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
        pool: Any = ConnectionPool(database, min_size=1, max_size=POOL, kwargs=options, open=True)
        saver: Any = PostgresSaver(pool)
    else:
        saver = SqliteSaver(sqlite3.connect(database, check_same_thread=False, timeout=30))
        saver.conn.execute("PRAGMA synchronous=NORMAL")  # as the service sets it
    saver.setup()
    return saver


def graph_of(database: str, model_url: str) -> Any:
    """Return the compiled graph."""
    options: dict[str, Any] = {"base_url": model_url, "api_key": "bench", "use_responses_api": False, "max_retries": 0}
    model = init_chat_model("canned", model_provider="openai", **options)
    return create_agent(model, tools=[multiply], checkpointer=saver_of(database))


def measure(graph: Any, runs: int, threads: int, *, apart: bool = False) -> dict[str, float]:
    """Run the graph in several threads, each with one run after the other. Returns the seconds that it took."""
    numbers = iter(range(runs))
    lock, wrong = threading.Lock(), []

    def work() -> None:
        for number in _shared(numbers, lock):
            config: RunnableConfig = {"configurable": {"thread_id": str(uuid.uuid4())}}
            asked = {"messages": [{"role": "user", "content": f"multiply 6 by 7, for the {number}th time"}]}
            used = graph.copy(update={"checkpointer": PostgresSaver(graph.checkpointer.conn)}) if apart else graph
            answer = used.invoke(asked, config, durability="sync")
            if "42" not in answer["messages"][-1].content:
                wrong.append(answer)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    begun = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.monotonic() - begun
    if wrong or next(numbers, None) is not None:
        raise SystemExit(f"the graph has failed or gives wrong answers: {wrong[:1]}")
    return {"seconds": seconds}


def _shared(numbers: Iterable[int], lock: threading.Lock) -> Iterable[int]:
    """Yield numbers that no other thread gets."""
    while True:
        with lock:
            number = next(iter(numbers), None)
        if number is None:
            return
        yield number


def main(database: str, model_url: str) -> None:
    """Answer commands."""
    graph = graph_of(database, model_url)
    answer_commands({"measure": partial(measure, graph)})


if __name__ == "__main__":
    main(*sys.argv[1:])
