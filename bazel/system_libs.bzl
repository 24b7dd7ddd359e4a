"""@sys: the distribution's C++ libraries as cc_library targets (headers are on the
compiler's own search path, so a target carries link options only)."""

# name -> libraries in link order. ABSL is one group, since its pieces refer to each other.
_LIBS = {
    "gtest": ["gmock", "gtest"],
    "gtest_main": ["gmock_main", "gmock", "gtest"],
    "benchmark": ["benchmark"],
    "protobuf": ["protobuf"],
    "grpc": ["grpc++", "grpc", "gpr"],
    "grpc_reflection": ["grpc++_reflection"],
    "prometheus": ["prometheus-cpp-pull", "prometheus-cpp-core"],
    "re2": ["re2"],
    "crypto": ["crypto"],
    "curl": ["curl"],
    "gloo": ["gloo"],
    "jpeg": ["jpeg"],
    "png": ["png"],
    "webp": ["webpdemux", "webp"],
    "gif": ["gif"],
    "sndfile": ["sndfile"],
    "soxr": ["soxr"],
    "kissfft": ["kissfft-float"],
    "ffmpeg": ["avformat", "avcodec", "swscale", "avutil"],
    "pthread": ["pthread"],
    "rt": ["rt"],
}

# Inline code of Abseil's headers refers to these. In a test, which links our libraries as shared
# ones, gold's --as-needed would drop them where only such a library, not the test itself, does.
_ABSL_ALWAYS = [
    "absl_hash",
    "absl_raw_hash_set",
    "absl_status",
    "absl_statusor",
    "absl_str_format_internal",
    "absl_time",
]

_HEADER_ONLY = ["boost", "nlohmann_json"]

def _impl(ctx):
    out = ["load(\"@rules_cc//cc:defs.bzl\", \"cc_library\")", "package(default_visibility = [\"//visibility:public\"])"]
    for name in _HEADER_ONLY:
        out.append("cc_library(name = \"%s\")" % name)
    for name, libs in _LIBS.items():
        # For the same reason as Abseil's: a test may not name what a library of ours needs.
        flags = ["-Wl,--no-as-needed"] + ["-l" + l for l in libs] + ["-Wl,--as-needed"]
        out.append("cc_library(name = \"%s\", linkopts = [%s])" % (
            name,
            ", ".join(["\"%s\"" % f for f in flags]),
        ))
    r = ctx.execute(["sh", "-c", "ls /usr/lib/*/libabsl_*.so | sed 's/.*lib\\(absl_[a-z0-9_]*\\)\\.so/\\1/'"])
    absl = [l for l in r.stdout.split("\n") if l]
    if r.return_code or not absl:
        fail("no Abseil libraries found: install libabsl-dev")
    out.append("cc_library(name = \"absl\", linkopts = [%s])" % ", ".join(
        ["\"-Wl,--no-as-needed\""] + ["\"-l%s\"" % l for l in _ABSL_ALWAYS if l in absl] +
        ["\"-Wl,--as-needed\""] + ["\"-l%s\"" % l for l in absl],
    ))
    for tool in ["protoc", "grpc_cpp_plugin"]:
        p = ctx.which(tool)
        if not p:
            fail("%s not found on PATH: run deploy/setup.sh" % tool)
        ctx.symlink(p, tool)
    out.append("exports_files([\"protoc\", \"grpc_cpp_plugin\"])")
    ctx.file("BUILD", "\n".join(out) + "\n")
    ctx.file("WORKSPACE", "workspace(name = \"sys\")\n")

system_libs = repository_rule(implementation = _impl, environ = ["PATH"], local = True, configure = True)
