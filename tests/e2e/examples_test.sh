#!/bin/bash
exec /usr/bin/python3 -B tests/e2e/examples_test.py
