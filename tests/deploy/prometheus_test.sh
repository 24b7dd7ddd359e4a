#!/bin/bash
exec /usr/bin/python3 -B tests/deploy/prometheus_test.py
