#!/bin/bash
# docs/configuration.md says what the programs say.
set -euo pipefail
/usr/bin/python3 -B docs/make_configuration.py services/router/router_main services/shard/shard_main \
  services/vision/vision_main services/audio/audio_main services/gateway/openai_gateway_main \
  >"$TEST_TMPDIR/configuration.md"
if ! diff -u docs/configuration.md "$TEST_TMPDIR/configuration.md"; then
  echo "FAILED: docs/configuration.md is out of date; its first lines say how to make it"
  exit 1
fi
