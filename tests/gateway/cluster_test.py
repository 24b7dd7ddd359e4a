"""OpenAI's Python client against real processes: `./facet up --gateway`'s own code starts a router, a
two-rank group and the gateway. The model has random weights: shapes are checked, not sense."""
import json
import subprocess

import openai

from processes import facet_cluster

LIMIT = {"max_tokens": 6, "extra_body": {"ignore_eos": True}}


def user(content):
    return [{"role": "user", "content": content}]


def test_models(client):
    (model,) = client.models.list().data
    assert model.id == "demo" and model.max_model_len > 0
    assert client.models.retrieve("demo").id == "demo"


def test_completions(client):
    whole = client.completions.create(model="demo", prompt="Hello", seed=1, logprobs=2, **LIMIT)
    choice = whole.choices[0]
    assert choice.finish_reason == "length" and whole.usage.completion_tokens == 6
    assert len(choice.logprobs.tokens) == len(choice.logprobs.text_offset) == 6
    assert all(len(top) == 2 for top in choice.logprobs.top_logprobs), choice.logprobs
    pieces = client.completions.create(model="demo", prompt="Hello", seed=1, stream=True, **LIMIT)
    assert "".join(p.choices[0].text for p in pieces if p.choices) == choice.text


def test_completions_of_token_ids(client):
    answer = client.completions.create(model="demo", prompt=[2, 7, 8], n=2, seed=3, **LIMIT)
    assert [c.index for c in answer.choices] == [0, 1]
    assert answer.usage.prompt_tokens == 3 and answer.usage.completion_tokens == 12


def test_chat(client):
    more = {"model": "demo", "messages": user("Hello"), "seed": 5, **LIMIT}
    whole = client.chat.completions.create(**more, logprobs=True, top_logprobs=2)
    choice = whole.choices[0]
    assert choice.finish_reason == "length" and whole.usage.completion_tokens == 6, whole
    assert len(choice.logprobs.content) == 6, choice.logprobs
    chunks = list(client.chat.completions.create(**more, stream=True,
                                                 stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == choice.message.content and chunks[-1].usage.completion_tokens == 6


def test_chat_gives_several_completions(client):
    answer = client.chat.completions.create(model="demo", messages=user("Hello"), n=2, seed=5, **LIMIT)
    assert [c.index for c in answer.choices] == [0, 1]
    assert answer.usage.completion_tokens == 12


def test_a_schema_is_followed(client):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
              "additionalProperties": False}
    answer = client.chat.completions.create(
        model="demo", messages=user("Hello"), seed=1, max_tokens=256,
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}})
    assert answer.choices[0].finish_reason == "stop", answer
    assert isinstance(json.loads(answer.choices[0].message.content)["ok"], bool)


def test_a_tool_that_is_required_is_called(client):
    tool = {"type": "function", "function": {"name": "set", "parameters": {
        "type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"],
        "additionalProperties": False}}}
    messages = user("Hello")
    more = {"model": "demo", "seed": 1, "max_tokens": 96, "tools": [tool], "parallel_tool_calls": False}
    asked = client.chat.completions.create(messages=messages, tool_choice="required", **more)
    assert asked.choices[0].finish_reason == "tool_calls", asked
    (call,) = asked.choices[0].message.tool_calls
    assert call.function.name == "set"
    assert isinstance(json.loads(call.function.arguments)["on"], bool)
    messages += [asked.choices[0].message,
                 {"role": "tool", "tool_call_id": call.id, "content": "done"}]
    told = client.chat.completions.create(messages=messages, tool_choice="none", **more)
    assert told.choices[0].finish_reason in ("stop", "length")


def test_errors_of_the_router(client):
    for error_type, call in [
            (openai.NotFoundError, lambda: client.completions.create(model="other", prompt="a")),
            (openai.BadRequestError, lambda: client.completions.create(model="demo", prompt=[10**6])),
            (openai.BadRequestError,
             lambda: client.completions.create(model="demo", prompt="a", max_tokens=10**6))]:
        try:
            call()
        except error_type as error:
            assert error.body["message"], error
        else:
            raise AssertionError(f"no {error_type.__name__}")


def lint(page):
    done = subprocess.run(["promtool", "check", "metrics"], input=page, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode()


def main():
    with facet_cluster("tests/golden/demo", "--tp", "2") as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                test(client)
                print(f"ok: {name[5:].replace('_', ' ')}")
        lint(client._client.get(f"{url}/metrics").content)


main()
