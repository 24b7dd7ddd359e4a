#!/bin/bash
exec /usr/bin/python3 -B examples/python/boxes_test.py
