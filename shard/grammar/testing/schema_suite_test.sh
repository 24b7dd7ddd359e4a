#!/bin/bash
# Runs schema_suite.py with the validator and the test suite that deploy/setup.sh fetched.
set -euo pipefail
venv=${FACET_VENV:?run through ./facet test, which names it}
sources=${FACET_SOURCES:?run through ./facet test, which names it}
cd shard/grammar/testing
"$venv/bin/python3" schema_suite.py ./schema_samples "$sources/jsonschema-4.26.0.tar.gz" \
  schemas.json "$TEST_TMPDIR"
