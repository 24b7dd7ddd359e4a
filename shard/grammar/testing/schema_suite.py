"""Draws answers through the masks of many schemas and validates them with the jsonschema library.

Every schema of the official Draft 2020-12 test suite and of schemas.json is either refused with a
JSON pointer, or whatever a model writes under it ends and validates.
schema_suite.py SAMPLER JSONSCHEMA_ARCHIVE SCHEMAS_JSON SCRATCH_DIR
"""

import json
import re
import subprocess
import sys
import tarfile

import jsonschema


def suite_schemas(archive):
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            if re.search(r"/json/tests/draft2020-12/[^/]+\.json$", member.name):
                name = member.name.rsplit("/", 1)[1]
                for case in json.load(tar.extractfile(member)):
                    yield "%s: %s" % (name, case["description"]), case["schema"], None


def own_schemas(path):
    with open(path, encoding="utf-8") as file:
        for case in json.load(file):
            yield "own: " + case["name"], case["schema"], case.get("refused")


class CallReader:
    """Values in the notation of tool calls; a zero byte stands for the quote token."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def take(self, token):
        found = self.text.startswith(token, self.at)
        self.at += len(token) * found
        return found

    def expect(self, token):
        if not self.take(token):
            raise ValueError("expected %r at %r" % (token, self.text[self.at:self.at + 30]))

    def quoted(self):
        end = self.text.index("\0", self.at)
        text, self.at = self.text[self.at:end], end + 1
        return text

    def value(self):
        if self.take("\0"):
            return self.quoted()
        if self.take("{"):
            members = {}
            while not self.take("}"):
                if members:
                    self.expect(",")
                key = self.quoted() if self.take("\0") else self.bare(r"[^:]+")
                self.expect(":")
                # A repeated key counts once; the reader below needs to see a comma.
                members[key] = self.value()
            return members
        if self.take("["):
            items = []
            while not self.take("]"):
                if items:
                    self.expect(",")
                items.append(self.value())
            return items
        return json.loads(self.bare(r"[-+.\w]+"))

    def bare(self, pattern):
        match = re.compile(pattern).match(self.text, self.at)
        if not match:
            raise ValueError("bad value at %r" % self.text[self.at:self.at + 30])
        self.at = match.end()
        return match.group()


def call_arguments(text):
    reader = CallReader(text)
    reader.expect("<|tool_call>call:f")
    value = reader.value()
    if text[reader.at:] != "<tool_call|>":
        raise ValueError("text after the call: %r" % text[reader.at:])
    return value


def failures(name, schema, refusal, row):
    if "failed" in row:
        yield row["failed"]
    if "refused" in row:
        if not re.match(r"/[^:]*: .", row["refused"]):
            yield "refused without a pointer: " + row["refused"]
        if name.startswith("own: ") and not (refusal and row["refused"].startswith(refusal + ":")):
            yield "refused as %s, expected %s" % (row["refused"], refusal)
        return
    if refusal:
        yield "not refused at " + refusal
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    for kind, read in (("json", json.loads), ("call", call_arguments)):
        for text in row.get(kind, ()):
            try:
                validator.validate(read(text))
            except (ValueError, jsonschema.ValidationError) as error:
                yield "%s %r: %s" % (kind, text[:300], str(error).split("\n")[0])


def main():
    sampler, archive, own, scratch = sys.argv[1:]
    cases = list(suite_schemas(archive)) + list(own_schemas(own))
    path = scratch + "/schemas.txt"
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(schema) + "\n" for _, schema, _ in cases)
    output = subprocess.run([sampler, path], check=True, stdout=subprocess.PIPE).stdout
    rows = [json.loads(line) for line in output.splitlines()]
    if len(rows) != len(cases):
        sys.exit("%d answers for %d schemas" % (len(rows), len(cases)))
    bad = 0
    for (name, schema, refusal), row in zip(cases, rows):
        for failure in failures(name, schema, refusal, row):
            bad += 1
            print(ascii("FAILED %s: %s" % (name, failure)), json.dumps(schema)[:300])
    refused = sum("refused" in row for row in rows)
    answers = sum(len(row.get("json", ())) + len(row.get("call", ())) for row in rows)
    print("%d schemas: %d enforced, %d refused; %d answers validated; %d failures" %
          (len(rows), len(rows) - refused, refused, answers, bad))
    # A suite that went missing, or a converter that refuses everything, must not pass.
    sys.exit(bad > 0 or len(rows) < 200 or len(rows) - refused < 100)


main()
