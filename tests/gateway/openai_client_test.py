"""OpenAI's own Python client against the gateway, with a scripted router behind it."""
import json

import openai

from processes import TMP, scripted_gateway, wait_for

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def user(content):
    return [{"role": "user", "content": content}]


def ask(client, content, **more):
    return client.chat.completions.create(model="org/gemma", messages=user(content), **more)


def test_an_answer(client):
    answer = ask(client, "hello", temperature=0.5, seed=1, max_completion_tokens=10, user="me")
    assert answer.choices[0].message.content == "you said: hello", answer
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "org/gemma" and answer.object == "chat.completion"
    assert answer.usage.total_tokens == 10
    assert answer.usage.prompt_tokens_details.cached_tokens == 2


def test_a_stream(client):
    chunks = list(ask(client, "hello", stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "you said: hello", chunks
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 3


def test_a_thought(client):
    thinking = {"chat_template_kwargs": {"enable_thinking": True}}
    message = ask(client, "hello", extra_body=thinking).choices[0].message
    assert message.reasoning_content == "let me think" and message.content == "you said: hello"
    message = ask(client, "hello", reasoning_effort="high").choices[0].message
    assert message.reasoning_content == "let me think"
    deltas = [c.choices[0].delta for c in ask(client, "hello", stream=True, extra_body=thinking)]
    assert [d.reasoning_content for d in deltas if hasattr(d, "reasoning_content")] == ["let me think"]


def test_a_tool_round_trip(client):
    messages = user("Paris")
    asked = client.chat.completions.create(model="", messages=messages, tools=[WEATHER])
    call = asked.choices[0].message.tool_calls[0]
    assert asked.choices[0].finish_reason == "tool_calls"
    assert asked.choices[0].message.content is None
    assert call.function.name == "get_weather" and json.loads(call.function.arguments) == {"text": "Paris"}
    # The message goes back as the client holds it.
    messages += [asked.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    told = client.chat.completions.create(model="", messages=messages, tools=[WEATHER])
    assert told.choices[0].message.content == "result: sunny", told


def test_streamed_arguments(client):
    arguments, ids = "", []
    for chunk in ask(client, "Paris", tools=[WEATHER], tool_choice="required", stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            arguments += call.function.arguments
            ids += [call.id] if call.id else []
    assert json.loads(arguments) == {"text": "Paris"} and ids == ["call_1"]


def test_the_clients_own_accumulator(client):
    with client.chat.completions.stream(model="", messages=user("Paris"), tools=[WEATHER]) as stream:
        final = stream.get_final_completion()
    assert json.loads(final.choices[0].message.tool_calls[0].function.arguments) == {"text": "Paris"}


def test_a_schema(client):
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
    answer = ask(client, "x", response_format={
        "type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}})
    assert json.loads(answer.choices[0].message.content) == {"answer": 42}
    assert ask(client, "x", response_format={"type": "json_object"}).choices[0].message.content


def test_several_completions_and_logprobs(client):
    answer = ask(client, "x", n=2, logprobs=True, top_logprobs=2)
    assert [c.index for c in answer.choices] == [0, 1]
    for choice in answer.choices:
        assert choice.message.content == "you said: x"
        assert len(choice.logprobs.content) == 2
        token = choice.logprobs.content[0]
        assert token.token == "<5>" and token.logprob == -0.25 and len(token.top_logprobs) == 2
        assert bytes(token.bytes).decode() == token.token


def test_media(client):
    answer = ask(client, [{"type": "text", "text": "see"},
                          {"type": "image_url", "image_url": {"url": PIXEL}},
                          {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}])
    assert answer.choices[0].message.content == "you said: see with 1 image(s), 1 clip(s)"


def test_completions(client):
    answer = client.completions.create(model="", prompt="a", logprobs=1)
    assert answer.choices[0].text == "hi" and answer.choices[0].finish_reason == "length"
    assert answer.choices[0].logprobs.tokens == ["<5>"]
    pieces = list(client.completions.create(model="", prompt=[2, 7], stream=True))
    assert "".join(p.choices[0].text for p in pieces) == "hi"


def test_models(client):
    assert [m.id for m in client.models.list()] == ["org/gemma"]
    assert client.models.retrieve("org/gemma").owned_by == "facet"


def expect(error_type, call):
    try:
        call()
    except error_type as error:
        return error
    raise AssertionError(f"no {error_type.__name__}")


def test_errors(client):
    error = expect(openai.BadRequestError, lambda: ask(client, "x", temperature=-1))
    assert error.param == "temperature" and "at least 0" in error.message, error
    error = expect(openai.BadRequestError, lambda: ask(client, "x", extra_body={"max_tokns": 3}))
    assert error.param == "max_tokns"
    expect(openai.NotFoundError, lambda: client.models.retrieve("other"))
    expect(openai.NotFoundError, lambda: client.embeddings.create(model="", input="a"))
    error = expect(openai.RateLimitError, lambda: ask(client, "full"))
    assert error.response.headers["retry-after"] == "1"
    assert error.code == "rate_limit_exceeded"
    error = expect(openai.APIError, lambda: list(ask(client, "break", stream=True)))
    assert "the group was lost" in str(error)
    error = expect(openai.InternalServerError, lambda: ask(client, "break"))
    assert error.status_code == 503
    stranger = client.with_options(api_key="wrong")
    expect(openai.AuthenticationError, lambda: stranger.models.list())


def test_request_ids(client):
    raw = client.chat.completions.with_raw_response.create(
        model="", messages=user("x"), extra_headers={"x-request-id": "mine"})
    assert raw.headers["x-request-id"] == "mine" and raw.parse().id == "chatcmpl-mine"


def test_leaving_a_stream_cancels_its_call(client, router_log):
    stream = ask(client, "endless", stream=True)
    next(iter(stream))
    stream.close()
    wait_for("the cancellation", lambda: "cancelled" in router_log.read_text())


def main():
    keys = TMP / "keys"
    keys.write_text("secret\n")
    with scripted_gateway(f"--api_keys_file={keys}") as (url, router_log, gateway_log):
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="secret", max_retries=0, timeout=20)
        for name, test in list(globals().items()):
            if not name.startswith("test_"):
                continue
            test(client, router_log) if "leaving" in name else test(client)
            print(f"ok: {name[5:].replace('_', ' ')}")
    lines = [json.loads(line) for line in gateway_log.read_text().splitlines() if line.startswith("{")]
    assert any(line["code"] == 429 for line in lines) and any(line.get("stream") for line in lines)


main()
