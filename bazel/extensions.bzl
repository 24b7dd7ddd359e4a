"""The same repositories for a Bazel that has modules (7 and newer)."""

load("//bazel:system_libs.bzl", "system_libs")
load("//bazel:xgrammar.bzl", "xgrammar_sources")

def _impl(_ctx):
    system_libs(name = "sys")
    xgrammar_sources(name = "xgrammar")

machine = module_extension(implementation = _impl)
