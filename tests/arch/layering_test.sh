#!/bin/bash
exec /usr/bin/python3 -B tests/arch/layering_test.py
