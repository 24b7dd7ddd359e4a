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
check "$venv/bin/python3" -B tests/deploy/manifests_test.py
for change in 's/facet-vision.facet/facet-visions.facet/' 's/--grace_period/--grace_perio/'; do
  broken=$TEST_TMPDIR/broken
  rm -rf "$broken" && mkdir -p "$broken" && cp -rL deploy docs tests "$broken"
  sed -i "$change" "$broken/deploy/kubernetes/router.yaml"
  if (cd "$broken" && "$venv/bin/python3" -B tests/deploy/manifests_test.py) >/dev/null 2>&1; then
    echo "FAILED: manifests that do not fit passed: $change"
    failed=1
  fi
done

# A validator that lets everything pass would prove nothing.
broken=$TEST_TMPDIR/broken.yaml
sed 's/containerPort: 50051/containerPort: "many"/' deploy/kubernetes/router.yaml >"$broken"
if "$venv/bin/kubernetes-validate" --strict "$broken" >/dev/null 2>&1; then
  echo "FAILED: a manifest with a wrong port passed"
  failed=1
fi
exit $failed
