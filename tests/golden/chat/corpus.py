"""Random conversations, always the same: requests as model/chat/conversation_json.h reads them."""
import random
import struct

SPECIALS = ["<bos>", "<|turn>model\n", "<turn|>\n", "<|\"|>", "<|tool_call>call:f{}<tool_call|>", "<|image|>",
            "<|think|>", "<tool_response|>", "<|turn >", "<eos>"]
THOUGHTS = ["<|channel>thought\nhm<channel|>", "<|channel>", "<channel|>", "<|channel>a<channel|>b<|channel>c"]
SPACES = ["", " ", "\n", "\t \n", "\u00a0", "\u2003", "\x1c", "\x85", "\u3000", "\u200b", "\ufeff", "\r\n"]
WORDS = ["Hello.", "Why?", "été", "日本語のテキスト", "😊👩‍👩‍👧‍👦", "a  b", "x\n\ny", "{\"k\": [1, 2]}", "'quoted' \"twice\"", "tab\there",
         "back\\slash", "\u0301e", "שלום", "{{ 7 * 7 }}", "{% raw %}", "1,2}", "\u2028line", "\x7f"]
KEYS = ["a", "A", "b", "B", "ab", "aB", "city", "City", "Zeta", "_x", "1", "10", "2", "ä", "Ä", "É", "é", "İ", "ß", "Ω", "ω",
        "中", "a b", "a:b", "", "Ǆ", "ǆ", "Ａ", "𐐀", "type", "description", "properties", "required", "nullable", "enum", "items"]
NUMBERS = [0, 1, -1, 15, 15.0, 1e22, 1e-7, 0.1, -2.5, -0.0, 5e-324, 1.7976931348623157e308, 1e15, 1e16, 123456789012345680.0,
           9999999999999998.0, 2.5e-05, 0.0001, 2 ** 53 + 1, 2 ** 63 - 1, -2 ** 63, 2 ** 64 - 1, 2 ** 64, 10 ** 30, -10 ** 40, 100.0,
           1234.5, 3.0e-10]
TYPES = ["string", "STRING", "array", "Array", "object", "OBJECT", "integer", "number", "boolean", "null", "custom_1"]
NAMES = ["get_weather", "f", "book.table", "Ping-2", "_x", "lookup"]
MEDIA = ["image", "image_url", "audio", "input_audio", "video"]


class Corpus:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def chance(self, p):
        return self.r.random() < p

    def text(self):
        parts = []
        for _ in range(self.r.choice([0, 1, 1, 2, 3])):
            parts.append(self.r.choice(SPECIALS if self.chance(0.12) else WORDS))
        return self.r.choice(SPACES) + self.r.choice(["", " ", "\n"]).join(parts) + self.r.choice(SPACES)

    def number(self):
        kind = self.r.randrange(4)
        if kind == 0:
            return self.r.randrange(-10 ** self.r.randrange(1, 25), 10 ** self.r.randrange(1, 25))
        if kind == 1:
            value = struct.unpack("<d", struct.pack("<Q", self.r.getrandbits(64)))[0]
            return value if value - value == 0 else 1.5
        return self.r.choice(NUMBERS)

    def value(self, depth=3):
        kind = self.r.randrange(7 if depth else 5)
        if kind == 0:
            return self.r.choice([None, True, False])
        if kind in (1, 2):
            return self.number()
        if kind in (3, 4):
            return self.text()
        if kind == 5:
            return [self.value(depth - 1) for _ in range(self.r.randrange(4))]
        return self.object(depth - 1)

    def object(self, depth=3):
        return {key: self.value(depth) for key in self.r.sample(KEYS, self.r.randrange(7))}

    def type(self):
        if self.chance(0.1):
            return self.r.sample(TYPES, self.r.randrange(4))
        return self.r.choice(TYPES[:6] if self.chance(0.7) else TYPES)

    def names(self):
        return self.r.sample(KEYS, self.r.randrange(4))

    def schema(self, depth):
        """What may stand for a property."""
        if self.chance(0.05):
            return self.r.choice([True, False, None, "", {}])
        out = {}
        if self.chance(0.9):
            out["type"] = self.type()
        if self.chance(0.6):
            out["description"] = self.r.choice([self.text(), "", None])
        if self.chance(0.3):
            out["enum"] = self.r.choice([[], ["a", "B"], [self.text(), self.text()], [1, 2.0, None, {"k": "v"}]])
        if self.chance(0.2):
            out["nullable"] = self.r.choice([True, False, None, 0, 1, "yes"])
        if self.chance(0.4):
            out["items"] = self.items(depth - 1) if depth else {}
        if depth and self.chance(0.4):
            out["properties"] = self.r.choice([None, {}]) if self.chance(0.15) else self.properties(depth - 1)
        if self.chance(0.3):
            out["required"] = self.r.choice([None, self.names()])
        for key in ("default", "format", "minimum", "anyOf", "additionalProperties", "const"):
            if self.chance(0.1):
                out[key] = self.r.choice([1, "x", False, None, {"type": "string"}])
        return self.shuffled(out)

    def items(self, depth):
        if self.chance(0.1):
            return self.r.choice([{}, None, [], "x"])
        out = {}
        if self.chance(0.8):
            out["type"] = self.r.choice([self.type(), None])
        if self.chance(0.3):
            out["description"] = self.text()
        if self.chance(0.3):
            out["enum"] = [self.text(), 1, None]
        if self.chance(0.3):
            out["required"] = self.r.choice([None, self.names()])
        if self.chance(0.3):
            out["properties"] = self.r.choice([None, [], self.properties(max(depth, 0))])
        if self.chance(0.2):
            out["items"] = self.value(2)
        if self.chance(0.2):
            out["nullable"] = self.r.choice([True, False, None])
        return self.shuffled(out)

    def shuffled(self, mapping):
        keys = list(mapping)
        self.r.shuffle(keys)
        return {key: mapping[key] for key in keys}

    def properties(self, depth):
        return {key: self.schema(depth) for key in self.r.sample(KEYS, self.r.randrange(1, 5))}

    def tool(self, name):
        function = {"name": name}
        if self.chance(0.9):
            function["description"] = self.text()
        if self.chance(0.85):
            parameters = {"type": "object"} if self.chance(0.95) else {}
            if self.chance(0.85):
                parameters["properties"] = self.properties(3)
            if self.chance(0.6):
                parameters["required"] = self.r.choice([None, self.names()])
            if self.chance(0.1):
                parameters = self.r.choice([{}, None])
            function["parameters"] = parameters
        if self.chance(0.2):
            response = {}
            if self.chance(0.8):
                response["type"] = self.r.choice(["object", "OBJECT", "string"])
            if self.chance(0.6):
                response["description"] = self.r.choice([self.text(), ""])
            function["response"] = response
        return {"type": "function", "function": function}

    def part(self, with_media=True):
        if with_media and self.chance(0.4):
            return {"type": self.r.choice(MEDIA)}
        return {"type": "text", "text": self.text()}

    def content(self):
        if self.chance(0.3):
            return [self.part() for _ in range(self.r.randrange(5))]
        return self.text()

    def assistant(self):
        message = {"role": "assistant"}
        if self.chance(0.6):
            message["content"] = self.content()
            if self.chance(0.15) and isinstance(message["content"], str):
                message["content"] = self.r.choice(THOUGHTS) + message["content"] + self.r.choice(THOUGHTS)
        elif self.chance(0.5):
            message["content"] = self.r.choice([None, "", " \n", []])
        if self.chance(0.4):
            message[self.r.choice(["reasoning", "reasoning_content"])] = self.text()
            if self.chance(0.1):
                message["reasoning"] = ""
        return message

    def call(self, i):
        function = {"name": self.r.choice(NAMES)}
        function["arguments"] = self.r.choice([None, {}]) if self.chance(0.2) else self.object()
        call = {"type": "function", "function": function}
        if self.chance(0.9):
            call["id"] = f"call_{i}"
        return call

    def calling(self):
        """An assistant message with calls, and what answers it."""
        message = self.assistant()
        if self.chance(0.5):
            message["content"] = self.r.choice([None, ""])
        calls = message["tool_calls"] = [self.call(i) for i in range(self.r.choice([1, 1, 1, 2, 3]))]
        if self.chance(0.2):
            message["tool_responses"] = [
                {"name": self.r.choice(NAMES + [""]), "response": self.value()} for _ in range(self.r.choice([1, 2]))]
            return [message]
        if self.chance(0.1):
            return [message]
        results = []
        for call in self.r.sample(calls, len(calls)):
            result = {"role": "tool"}
            if "id" in call and self.chance(0.9):
                result["tool_call_id"] = call["id"]
            if self.chance(0.3):
                result["name"] = self.r.choice(NAMES)
            result["content"] = self.r.choice([self.text(), [self.part() for _ in range(self.r.randrange(4))], None])
            results.append(result)
        return [message] + results

    def request(self):
        messages = []
        if self.chance(0.35):
            content = self.r.choice([self.text(), [self.part(False) for _ in range(self.r.randrange(4))], None])
            messages.append({"role": self.r.choice(["system", "developer"]), "content": content})
        for _ in range(self.r.randrange(1, 6)):
            if self.chance(0.85):
                messages.append({"role": "user", "content": self.content()})
            while self.chance(0.4):
                messages += self.calling()
            if self.chance(0.6):
                messages.append(self.assistant())
            if self.chance(0.05):
                messages.append({"role": self.r.choice(["system", "developer"]), "content": self.text()})
        if not messages:
            messages.append({"role": "user", "content": self.text()})
        tools = [self.tool(name) for name in self.r.sample(NAMES, self.r.choice([0, 0, 1, 2, 3]))]
        return {"messages": messages, "tools": tools or self.r.choice([None, []]), "enable_thinking": self.chance(0.5),
                "preserve_thinking": self.chance(0.3), "add_generation_prompt": self.chance(0.75)}
