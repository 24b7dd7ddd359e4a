"""Repositories of the workspace: everything comes from the machine, nothing from the net."""

load("//bazel:system_libs.bzl", "system_libs")

def _is_debian_bazel():
    # Debian's bootstrap build carries no release label, so bazel_version is "" there.
    v = native.bazel_version
    return v == "" or v.startswith("4.") or v.startswith("no_version")

def facet_repositories():
    if _is_debian_bazel():
        native.local_repository(name = "rules_cc", path = "bazel/stubs/rules_cc")
        native.local_repository(name = "rules_java", path = "bazel/stubs/rules_java")
        native.local_repository(name = "remote_coverage_tools", path = "bazel/stubs/remote_coverage_tools")
        native.local_repository(name = "platforms", path = "/usr/share/bazel/tools/platforms")
    system_libs(name = "sys")
