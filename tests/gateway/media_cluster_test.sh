#!/bin/bash
# In the virtual environment that deploy/setup.sh test makes.
exec "${FACET_VENV:?run through ./facet test, which names it}/bin/python3" -B tests/gateway/media_cluster_test.py
