#!/bin/bash
# The deployment files against the tools that know their formats: Kubernetes schemas, the Dockerfile
# linter, YAML style. The linters live in the virtual environment that deploy/setup.sh makes.
set -uo pipefail
venv=${FACET_VENV:?run through ./facet test, which names it}
failed=0
check() {
  if "$@"; then echo "ok: ${*##*/}"; else echo "FAILED: $*"; failed=1; fi
}
for manifest in deploy/kubernetes/*.yaml; do
  check "$venv/bin/kubernetes-validate" --strict "$manifest"
done
for dockerfile in deploy/images/*.Dockerfile; do
  check "$venv/bin/hadolint" "$dockerfile"
done
check "$venv/bin/yamllint" --strict deploy/kubernetes deploy/prometheus

# A validator that lets everything pass would prove nothing.
broken=$TEST_TMPDIR/broken.yaml
sed 's/containerPort: 50051/containerPort: "many"/' deploy/kubernetes/router.yaml >"$broken"
if "$venv/bin/kubernetes-validate" --strict "$broken" >/dev/null 2>&1; then
  echo "FAILED: a manifest with a wrong port passed"
  failed=1
fi
exit $failed
