#!/bin/bash
# Builds the fuzz target of answers with clang and runs it: run_answer_fuzz.sh [SECONDS].
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${TMPDIR:-/tmp}/facet-answer-fuzz
mkdir -p "$work/corpus"
clang++ -std=c++20 -O1 -g -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
  tests/fuzz/answer_libfuzzer.cc tests/fuzz/answer_fuzz.cc \
  model/answer/{answer_parser,whole_answer,call_parser,control_tokens,trimmed_text}.cc \
  model/answer/{json_text,argument_schema,argument_value}.cc \
  model/answer/testing/{answer_corpus,parsed_answer}.cc \
  $(ls model/tokenizer/*.cc base/log.cc | grep -v _test) \
  $(ls /usr/lib/*/libabsl_*.so) -o "$work/answer_fuzz"
exec "$work/answer_fuzz" -max_total_time="${1:-60}" -max_len=400 "$work/corpus"
