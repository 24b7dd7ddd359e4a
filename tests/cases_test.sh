#!/bin/bash
exec /usr/bin/python3 -B tests/cases_test.py
