"""The same repositories for a Bazel that has modules (7 and newer)."""

load("//bazel:system_libs.bzl", "system_libs")

def _impl(_ctx):
    system_libs(name = "sys")

machine = module_extension(implementation = _impl)
