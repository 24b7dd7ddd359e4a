#!/usr/bin/env python3
"""Lets the model call functions about what it sees: call_tools.py landmark.png

The model looks at the image, asks for the weather where it was taken, gets it, and answers. The weather is made up.
"""
import json

from facet_client import FacetClient, arguments, chat_pb2, image, run, sampling, show, text, user

WEATHER = chat_pb2.Tool(
    name="get_weather", description="The weather in a city, now.",
    parameters=json.dumps({"type": "object", "required": ["city", "unit"], "properties": {
        "city": {"type": "string", "description": "The city's name", "maxLength": 30},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}}))
MOST_ROUNDS = 4


def get_weather(city, unit):
    celsius = sum(city.encode()) % 30
    degrees = celsius if unit == "celsius" else celsius * 9 / 5 + 32
    return {"city": city, "degrees": degrees, "unit": unit, "sky": "clear"}


def result_of(call):
    """The message that answers a call. What the model wrote is not trusted: an error is an answer too."""
    try:
        result = {"get_weather": get_weather}[call.name](**json.loads(call.arguments))
    except (KeyError, TypeError, ValueError) as error:
        result = {"error": repr(error)}
    return chat_pb2.ChatMessage(role=chat_pb2.ChatMessage.TOOL, tool_call_id=call.id, name=call.name,
                                content=[chat_pb2.ContentPart(json=json.dumps(result))])


def main():
    parser = arguments(__doc__)
    parser.add_argument("image")
    parser.add_argument("--question", default="Which city is this? What is the weather there now?")
    parser.add_argument("--require-call", action="store_true", help="the first answer must be a call")
    args = parser.parse_args()
    client = FacetClient(args.router)
    messages = [user([image(args.image), text(args.question)])]
    choice = chat_pb2.ToolChoice
    mode = choice.REQUIRED if args.require_call else choice.AUTO
    for round_number in range(MOST_ROUNDS):
        if round_number == MOST_ROUNDS - 1:
            mode = choice.NONE  # enough: answer now
        answer = client.chat(messages, on_text=show, tools=[WEATHER], tool_choice=choice(mode=mode),
                             parallel_tool_calls=False, **sampling(args))
        if not answer.calls:
            print()
            return
        messages.append(chat_pb2.ChatMessage(role=chat_pb2.ChatMessage.ASSISTANT, tool_calls=answer.calls,
                                             content=[text(answer.content)] if answer.content else [],
                                             reasoning=answer.reasoning))
        for call in answer.calls:
            result = result_of(call)
            messages.append(result)
            print(f"{call.name}({call.arguments}) -> {result.content[0].json}")
        mode = choice.AUTO


run(main)
