#!/bin/bash
# Needs the real vocabulary, which deploy/setup.sh fetches.
export FACET_SOURCES=${FACET_SOURCES:?run through ./facet test, which names it}
exec /usr/bin/python3 -B tests/golden/chat/vocabulary_test.py tests/golden/chat/encode_texts
