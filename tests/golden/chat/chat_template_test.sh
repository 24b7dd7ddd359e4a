#!/bin/bash
# Needs Jinja and Google's chat templates, which deploy/setup.sh fetches.
export FACET_SOURCES=${FACET_SOURCES:?run through ./facet test, which names it}
exec "${FACET_VENV:?run through ./facet test, which names it}/bin/python" -B \
  tests/golden/chat/chat_template_test.py tests/golden/chat/render_chat
