#!/bin/bash
# Runs every example on your files and prints the answers: with a cluster of its own for a checkpoint, which ends
# with it, or on one that runs.
#   examples/run_all.sh (--model DIR | --router HOST:PORT) [--image FILE] [--document FILE] [--screenshot FILE]
#                       [--audio FILE] [--video FILE] [--max-tokens N] [-- FLAGS OF ./facet up]
# A file that is not given leaves its examples out; --document and --screenshot are --image if they are not given.
set -euo pipefail
examples=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
usage() { sed -n '4,6s/^# *//p' "$0" >&2; exit 2; }
declare -A given
while (($#)); do
  case "$1" in
    --model | --router | --image | --document | --screenshot | --audio | --video | --max-tokens)
      (($# > 1)) || usage
      given[${1#--}]=$2
      shift 2
      ;;
    --)
      shift
      break
      ;;
    *) usage ;;
  esac
done
model=${given[model]:-} router=${given[router]:-}
[[ -n $model && -z $router || -z $model && -n $router ]] || usage
: "${given[document]=${given[image]:-}}" "${given[screenshot]=${given[image]:-}}"

if [[ -n $model ]]; then
  started=$("$examples/../facet" up --model "$model" "$@")
  trap '"$examples/../facet" down' EXIT
  router=$(sed -n 's/^router: //p' <<<"$started" | head -n 1)
fi

failed=0
# run FILE EXAMPLE ARGUMENT...: the example on the file, if there is one
run() {
  local file=$1 example=$2
  shift 2
  [[ -n $file ]] || return 0
  printf '\n== %s %s %s\n' "$example" "$file" "$*"
  "${PYTHON:-/usr/bin/python3}" -B "$examples/python/$example.py" --router "$router" \
    --max-tokens "${given[max-tokens]:-512}" "$file" "$@" || failed=$((failed + 1))
}
run "${given[image]:-}" caption
run "${given[document]}" ocr
run "${given[image]:-}" detect person car dog cat chair
run "${given[screenshot]}" gui_elements
run "${given[audio]:-}" transcribe
run "${given[audio]:-}" transcribe --translate-to German
run "${given[video]:-}" video_question
run "${given[image]:-}" call_tools
exit $((failed > 0))
