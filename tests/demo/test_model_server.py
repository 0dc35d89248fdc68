"""The rule model as its clients meet it: over HTTP, mostly through langchain-openai."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from demo.model_server import RuleModel, serve

NAMES = ("book_hotel", "multiply", "send_email", "remember", "search_memory", "refund")
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in NAMES]
ASKING = [{"role": "user", "content": "multiply 6 by 7"}]
ROOT = Path(__file__).resolve().parents[2]
REJECTED = "This call was rejected and has not run: too expensive"


@pytest.fixture(scope="module")
def server() -> Iterator[RuleModel]:
    with serve() as server:
        yield server


class Client:
    """A chat client that offers tools and plays the part of whoever runs them."""

    def __init__(self, server: RuleModel) -> None:
        self.server = server

    def model(self, name: str = "demo", **options: Any) -> ChatOpenAI:
        options = {"max_retries": 0, "stream_usage": True, **options}
        return ChatOpenAI(model=name, base_url=self.server.url, api_key=SecretStr("x"), **options)

    def ask(self, *messages: Any, tools: list[Any] = TOOLS) -> AIMessage:
        return self.model().bind_tools(tools).invoke(list(messages))

    def calls(self, *messages: Any) -> list[tuple[str, dict[str, Any]]]:
        return [(call["name"], call["args"]) for call in self.ask(*messages).tool_calls]

    def ask_with_results(self, question: str, *results: str) -> AIMessage:
        """Ask, answer each tool call with the next result, and return what the model says then."""
        messages: list[Any] = [HumanMessage(question)]
        left = list(results)
        while left:
            messages.append(self.ask(*messages))
            messages += [ToolMessage(left.pop(0), tool_call_id=call["id"]) for call in messages[-1].tool_calls]
        return self.ask(*messages)


@pytest.fixture
def client(server: RuleModel) -> Client:
    return Client(server)


@pytest.fixture
def http_client(server: RuleModel) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


def completion(**changes: Any) -> dict[str, Any]:
    return {"model": "demo", "messages": [{"role": "user", "content": "hello"}], **changes}


def hanging_request(server: RuleModel) -> http.client.HTTPConnection:
    """A connection whose request the server has and does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("GET", "/v1/models")
    connection.getresponse().read()  # so that the server has accepted the connection
    connection.request("POST", "/v1/chat/completions", json.dumps(completion(model="fail-hang")))
    return connection


# Sentences


@pytest.mark.parametrize(
    ("sentence", "hotel", "nights"),
    [
        ("book the Ritz for 2 nights", "Ritz", 2),
        ("Book a room at the Grand Hotel", "Grand Hotel", 1),
        ("Please book the Ritz for one night.", "Ritz", 1),
        ("Can you book me a room in the St. Regis for 3 nights?", "St. Regis", 3),
        ("book the Rock and Roll Inn for 4 nights", "Rock and Roll Inn", 4),
    ],
)
def test_books_a_hotel(client: Client, sentence: str, hotel: str, nights: int) -> None:
    assert client.calls(sentence) == [("book_hotel", {"hotel_name": hotel, "nights": nights})]


@pytest.mark.parametrize(
    ("sentence", "a", "b"),
    [
        ("multiply 6 by 7", 6, 7),
        ("Multiply -6 and 7.", -6, 7),
        ("6 * 7", 6, 7),
        ("-1.5*-2", -1.5, -2),
        ("What is 6 times 7?", 6, 7),
        ("what's 6 x 7", 6, 7),
    ],
)
def test_multiplies(client: Client, sentence: str, a: float, b: float) -> None:
    [(name, args)] = client.calls(sentence)
    assert (name, args) == ("multiply", {"a": a, "b": b})
    assert [type(value) for value in args.values()] == [type(a), type(b)]


def test_sends_mail(client: Client) -> None:
    args = {"to": "bob@example.com", "subject": "hello there", "body": "hello there"}
    assert client.calls("email bob@example.com saying hello there") == [("send_email", args)]


def test_a_long_mail_gets_a_short_subject(client: Client) -> None:
    [(_, args)] = client.calls("Email bob@example.com and say one two three four five six seven, and eight!")
    assert args["subject"] == "one two three four five six…"
    assert args["body"] == "one two three four five six seven, and eight!"


def test_asks_what_to_write_in_a_mail(client: Client) -> None:
    assert "What should I write?" in client.ask("email bob@example.com").content


def test_remembers(client: Client) -> None:
    assert client.calls("remember that I prefer window seats") == [("remember", {"text": "I prefer window seats"})]


def test_searches_memory(client: Client) -> None:
    assert client.calls("Search memory for window seats?") == [("search_memory", {"query": "window seats"})]


@pytest.mark.parametrize("question", ["What do you know about me?", "what do I prefer"])
def test_lists_the_facts_of_the_system_prompt(client: Client, question: str) -> None:
    prompt = SystemMessage("Facts:\n<memories>\n- I prefer seats &lt; row 5\n- I like tea\n</memories>")
    answer = client.ask(prompt, question)
    assert answer.content == "[demo model] This is what I know about you:\n- I prefer seats < row 5\n- I like tea"


def test_searches_memory_when_the_prompt_has_no_facts(client: Client) -> None:
    assert client.calls("What do I prefer?") == [("search_memory", {"query": "What do I prefer"})]


def test_knows_nothing_without_facts_and_search(client: Client) -> None:
    assert client.ask("what do you know about me", tools=[]).content == "[demo model] I know nothing about you yet."


@pytest.mark.parametrize("question", ["What did I ask before?", "what have we talked about"])
def test_recalls_the_conversation(client: Client, question: str) -> None:
    answer = client.ask(HumanMessage("my name is Ann"), AIMessage("Hello"), HumanMessage(question))
    assert answer.content == "[demo model] You said earlier:\n- my name is Ann"


def test_has_no_conversation_to_recall_at_its_beginning(client: Client) -> None:
    assert "first message" in client.ask("what did I ask before").content


def test_calls_any_tool_with_any_arguments(client: Client) -> None:
    assert client.calls('call refund with {"amount": 3}') == [("refund", {"amount": 3})]


def test_arguments_do_not_split_a_sentence(client: Client) -> None:
    one, two = {"why": "late, then lost. And call me and multiply 2 by 3"}, {"deep": {"a": [1]}}
    sentence = f"call refund with {json.dumps(one)} and call refund with {json.dumps(two)}"
    assert client.calls(sentence) == [("refund", one), ("refund", two)]


def test_says_that_arguments_are_no_json(client: Client) -> None:
    answer = client.ask("call refund with {amount}")
    assert answer.content == "[demo model] The arguments for refund are not a JSON object."


@pytest.mark.parametrize("words", ["hello", "", "and", "multiply", ", then "])
def test_anything_else_gets_help(client: Client, words: str) -> None:
    answer = client.ask(HumanMessage(words)).text
    assert answer.startswith("[demo model] I am not a real model")
    assert "- book the Ritz for 2 nights" in answer


def test_every_example_of_the_help_works(client: Client) -> None:
    lines = client.ask("help").text.splitlines()
    examples = [line[2:] for line in lines if line.startswith("- ")]
    assert len(examples) == 9
    assert not [example for example in examples if "not a real model" in client.ask(example).content]


@pytest.mark.parametrize("filler", [" ", "\n", ". ", "a, ", "then ", "!"])
def test_long_texts_are_read_in_time(client: Client, filler: str) -> None:
    begun = time.monotonic()
    client.ask(f"book the Ritz{filler * 10_000}x")
    assert time.monotonic() - begun < 5


# Several sentences


@pytest.mark.parametrize("joint", [" and ", ", ", ". ", "\n", ", and "])
def test_joined_sentences_are_parallel_calls(client: Client, joint: str) -> None:
    calls = client.calls(f"book the Ritz for 2 nights{joint}multiply 6 by 7{joint}search memory for tea")
    assert [name for name, _ in calls] == ["book_hotel", "multiply", "search_memory"]
    assert calls[0][1] == {"hotel_name": "Ritz", "nights": 2}


def test_parallel_calls_have_ids_of_their_own(client: Client) -> None:
    calls = client.ask("6 * 7 and 6 * 7").tool_calls + client.ask("6 * 7").tool_calls
    assert len({call["id"] for call in calls}) == 3


def test_joining_words_inside_a_sentence_do_not_split_it(client: Client) -> None:
    assert client.calls("remember that I like tea, milk and sugar, then sleep") == [
        ("remember", {"text": "I like tea, milk and sugar, then sleep"})
    ]


def test_a_greeting_does_not_hide_the_request(client: Client) -> None:
    assert client.calls("Hi there, please multiply 6 by 7") == [("multiply", {"a": 6, "b": 7})]


def test_then_begins_a_turn_after_the_results(client: Client) -> None:
    question = "multiply 6 by 7 and multiply 1 by 1, then multiply 2 by 3"
    assert len(client.ask(question).tool_calls) == 2
    second = client.ask_with_results(question, "42", "1")
    assert [call["args"] for call in second.tool_calls] == [{"a": 2, "b": 3}]


def test_a_chain_ends_with_all_results(client: Client) -> None:
    answer = client.ask_with_results("multiply 6 by 7 then multiply 2 by 3 then multiply 1 by 1", "42", "6", "1")
    assert answer.content == "[demo model] multiply: 42\nmultiply: 6\nmultiply: 1"
    assert not answer.tool_calls


# Results


def test_sums_up_the_results_in_the_order_of_the_calls(client: Client) -> None:
    first = client.ask("book the Ritz and multiply 6 by 7")
    book, multiply = (call["id"] for call in first.tool_calls)
    results = [ToolMessage("42", tool_call_id=multiply), ToolMessage("Booked.", tool_call_id=book)]
    answer = client.ask(HumanMessage("book the Ritz and multiply 6 by 7"), first, *results)
    assert answer.content == "[demo model] book_hotel: Booked.\nmultiply: 42"


def test_apologises_for_a_rejected_call_with_the_reason(client: Client) -> None:
    answer = client.ask_with_results("book the Ritz", REJECTED)
    assert answer.content == "[demo model] I am sorry, book_hotel was rejected: too expensive"


def test_a_rejection_does_not_end_a_chain(client: Client) -> None:
    answer = client.ask_with_results("book the Ritz then multiply 6 by 7", REJECTED)
    assert [call["name"] for call in answer.tool_calls] == ["multiply"]


def test_tells_errors(client: Client) -> None:
    answer = client.ask_with_results("book the Ritz", "The tool failed: no rooms")
    assert answer.content == "[demo model] I am sorry, book_hotel did not work: The tool failed: no rooms"


def test_results_of_earlier_questions_are_not_told_again(client: Client) -> None:
    first = client.ask("6 * 7")
    result = ToolMessage("42", tool_call_id=first.tool_calls[0]["id"])
    earlier = [HumanMessage("6 * 7"), first, result, AIMessage("42")]
    assert client.calls(*earlier, HumanMessage("2 * 3")) == [("multiply", {"a": 2, "b": 3})]


def test_has_no_tool_that_is_not_offered(client: Client) -> None:
    answer = client.ask("call fly with {} and book the Ritz", tools=[])
    assert answer.content == "[demo model] I have no tool called fly.\nI have no tool called book_hotel."


def test_calls_what_is_offered_and_says_what_is_not(client: Client) -> None:
    answer = client.ask_with_results("call fly with {} and multiply 6 by 7", "42")
    assert answer.content == "[demo model] multiply: 42\nI have no tool called fly."


def test_tool_choice_none_offers_nothing(client: Client) -> None:
    assert not client.model().bind_tools(TOOLS, tool_choice="none").invoke("6 * 7").tool_calls


def test_reads_content_in_parts(client: Client) -> None:
    parts: list[Any] = [{"type": "text", "text": "multiply 6"}, {"type": "text", "text": " by 7"}]
    assert client.calls(HumanMessage(parts)) == [("multiply", {"a": 6, "b": 7})]


# Streams and usage


def streamed(model: Any, question: str) -> tuple[AIMessageChunk, int]:
    chunks = list(model.stream(question))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole, len(chunks)


def test_streams_a_text_in_pieces(client: Client) -> None:
    whole, count = streamed(client.model(), "hello")
    assert whole.content == client.ask("hello").content
    assert count > 10


def test_streams_tool_calls(client: Client) -> None:
    sentence = "book the Ritz for 2 nights and multiply 6 by 7"
    whole, count = streamed(client.model().bind_tools(TOOLS), sentence)
    assert [(call["name"], call["args"]) for call in whole.tool_calls] == client.calls(sentence)
    assert whole.response_metadata["finish_reason"] == "tool_calls"
    assert count > 5


def test_a_streaming_model_is_invoked_alike(client: Client) -> None:
    model = client.model(streaming=True).bind_tools(TOOLS)
    assert model.invoke("6 * 7").tool_calls[0]["args"] == {"a": 6, "b": 7}


def test_reports_the_same_usage_streamed_and_whole(client: Client) -> None:
    usage = client.model().invoke("hello").usage_metadata
    assert usage == streamed(client.model(), "hello")[0].usage_metadata
    assert usage is not None
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 100


def test_a_stream_has_no_usage_unless_asked(client: Client) -> None:
    assert streamed(client.model(stream_usage=False), "hello")[0].usage_metadata is None


def test_each_reply_has_an_id_of_its_own(http_client: httpx.Client) -> None:
    ids = {http_client.post("/chat/completions", json=completion()).json()["id"] for _ in range(3)}
    assert len(ids) == 3


def test_a_stream_ends_as_clients_expect(http_client: httpx.Client) -> None:
    answer = http_client.post("/chat/completions", json=completion(stream=True))
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.endswith("data: [DONE]\n\n")


def test_a_stream_pauses_between_its_pieces_if_told_to(server: RuleModel, client: Client) -> None:
    server.pause = 0.01
    try:
        begun = time.monotonic()
        whole, count = streamed(client.model(), "hello")
    finally:
        server.pause = 0.0
    assert time.monotonic() - begun >= 0.01 * (count - 1)
    assert whole.content == client.ask("hello").content


@pytest.mark.parametrize("name", ["odd-args-object-endless", "odd-signed", "odd-no-blocks", "odd-call-null"])
def test_odd_answers_are_streamed_too(http_client: httpx.Client, name: str) -> None:
    answers = [
        http_client.post("/chat/completions", json=completion(model=name, stream=stream, messages=ASKING, tools=TOOLS))
        for stream in (False, True)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    odd = {
        "odd-signed": "reasoning_details",
        "odd-args-object-endless": "99999",
        "odd-call-null": '"tool_calls": [null',
    }
    if name == "odd-no-blocks":
        answers = [http_client.post("/chat/completions", json=completion(model=name, stream=one)) for one in (0, 1)]
    assert all(odd.get(name, '"content": []') in answer.text for answer in answers)


def test_lists_its_model(server: RuleModel) -> None:
    assert [model.id for model in openai.OpenAI(base_url=server.url, api_key="x").models.list()] == ["demo"]


# Malformed requests


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"model": "demo"}',
        b'{"model": "demo", "messages": []}',
        b'{"model": "demo", "messages": [1]}',
        b'{"model": "demo", "messages": [{"role": "king", "content": "x"}]}',
        b'{"model": "demo", "messages": [{"role": ["user"], "content": "x"}]}',
        b'{"model": "demo", "messages": [{"role": "user", "content": 5}]}',
        b'{"model": "demo", "messages": [{"role": "user", "content": "x"}], "tools": [{}]}',
        b'{"messages": [{"role": "user", "content": "x"}]}',
    ],
)
def test_malformed_requests_are_400(http_client: httpx.Client, body: bytes) -> None:
    answer = http_client.post("/chat/completions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["message"]


def test_a_call_without_its_result_is_400(client: Client) -> None:
    with pytest.raises(openai.BadRequestError, match="must be followed by tool messages"):
        client.ask(HumanMessage("6 * 7"), client.ask("6 * 7"), HumanMessage("hello"))


def test_a_result_without_its_call_is_400(client: Client) -> None:
    with pytest.raises(openai.BadRequestError, match="must be a response"):
        client.ask(HumanMessage("6 * 7"), ToolMessage("42", tool_call_id="call_1"))


@pytest.mark.parametrize("path", ["/", "/completions", "/models/other"])
def test_unknown_paths_are_404(http_client: httpx.Client, path: str) -> None:
    answer = http_client.post(path, json={})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_url"


@pytest.mark.parametrize(("method", "path"), [("GET", "/chat/completions"), ("DELETE", "/models"), ("POST", "/models")])
def test_wrong_methods_are_405(http_client: httpx.Client, method: str, path: str) -> None:
    answer = http_client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] in answer.json()["error"]["message"]


def test_a_body_of_unknown_length_is_411(http_client: httpx.Client) -> None:
    assert http_client.post("/chat/completions", content=iter([b"{", b"}"])).status_code == 411
    assert http_client.get("/models").status_code == 200


# Misbehaviours


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("fail-401", openai.AuthenticationError),
        ("fail-429", openai.RateLimitError),
        ("fail-500", openai.InternalServerError),
        ("fail-503", openai.InternalServerError),
        ("fail-typo", openai.NotFoundError),
    ],
)
def test_fails_as_the_model_name_says(client: Client, name: str, error: type[Exception]) -> None:
    for _ in range(2):
        with pytest.raises(error):
            client.model(name).invoke("hello")


def test_429_says_when_to_try_again(http_client: httpx.Client) -> None:
    answer = http_client.post("/chat/completions", json=completion(model="fail-429"))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


@pytest.mark.parametrize("name", ["fail-429-once", "fail-500-once"])
def test_fails_once_for_each_conversation(client: Client, name: str) -> None:
    for question in ("hello", "hello again"):
        with pytest.raises(openai.APIStatusError):
            client.model(name).invoke(question)
        assert client.model(name).invoke(question).text.startswith("[demo model]")


def test_tests_that_share_a_server_can_start_afresh(server: RuleModel, client: Client) -> None:
    for _ in range(2):
        server.misbehaviours.forget()
        with pytest.raises(openai.InternalServerError):
            client.model("fail-500-once").invoke("afresh")


def test_a_streaming_client_sees_the_failure_too(client: Client) -> None:
    with pytest.raises(openai.InternalServerError):
        list(client.model("fail-500").stream("hello"))


@pytest.mark.parametrize("stream", [False, True])
def test_garbage_is_a_page_of_html(http_client: httpx.Client, stream: bool) -> None:
    answer = http_client.post("/chat/completions", json=completion(model="fail-garbage", stream=stream))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")


def test_empty_has_no_choices(http_client: httpx.Client) -> None:
    whole = http_client.post("/chat/completions", json=completion(model="fail-empty"))
    assert whole.json()["choices"] == []
    parts = http_client.post("/chat/completions", json=completion(model="fail-empty", stream=True))
    assert '"choices": []' in parts.text


def test_hangs_until_the_client_gives_up(client: Client) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.model("fail-hang", timeout=0.2).invoke("hello")


def test_a_hanging_answer_does_not_hold_up_the_others(server: RuleModel, client: Client) -> None:
    hanging = hanging_request(server)
    assert client.ask("hello").content
    hanging.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        hanging.getresponse()
    hanging.close()


# The server


def test_keeps_a_connection_for_several_requests(server: RuleModel) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    sockets = set()
    for stream in (False, True, False):
        connection.request("POST", "/v1/chat/completions", json.dumps(completion(stream=stream)))
        assert connection.getresponse().read()
        sockets.add(connection.sock)
    assert len(sockets) == 1
    connection.close()


def test_many_clients_at_once(client: Client) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: client.calls(f"multiply {n} by 2"), range(60)))
    assert [args["a"] for [(_, args)] in answers] == list(range(60))


def test_a_stopped_server_answers_no_kept_connection() -> None:
    with serve() as server, httpx.Client(base_url=server.url) as kept:
        kept.get("/models")
        server.stop()
        with pytest.raises(httpx.TransportError):
            kept.get("/models")


def test_stopping_ends_a_hanging_answer() -> None:
    with serve() as server:
        hanging = hanging_request(server)
        begun = time.monotonic()
    hanging.sock.settimeout(5)
    hanging.sock.recv(1)  # an answer, or the end if the request had not been read
    assert time.monotonic() - begun < 5
    hanging.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "", "::"])
def test_refuses_hosts_that_are_no_loopback_address(host: str) -> None:
    with pytest.raises(ValueError, match="only listens on loopback addresses"):
        serve(host=host)


def command(*arguments: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "demo.model_server", *arguments]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_that_it_is_ready_and_stops_cleanly(number: signal.Signals) -> None:
    with command("--port", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert httpx.get(f"{url}/models").status_code == 200
        process.send_signal(number)
        assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 0


def test_the_command_refuses_other_hosts_in_one_line() -> None:
    with command("--host", "0.0.0.0") as process:
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output) == (2, "")
    assert errors.splitlines() == [
        "The demo model doesn't check keys, so it only listens on loopback addresses, not on '0.0.0.0'."
    ]


def test_the_command_says_that_its_port_is_taken(server: RuleModel) -> None:
    with command("--port", str(server.server_port)) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert f"port {server.server_port}" in errors


def test_needs_neither_django_nor_packages() -> None:
    code = "import demo.model_server, sys; print([m for m in sys.modules if m.split('.')[0] in ('django', 'httpx')])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
