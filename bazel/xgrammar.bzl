"""@xgrammar: the grammar library's sources, from the archive that deploy/setup.sh fetched."""

_NAME = "xgrammar-0.2.8"
_SHA256 = "8305646fd2b319d6c3003f51a1665e54cbbe9cba1fb636bc41d0b46434ccbb80"

def _impl(ctx):
    folder = ctx.os.environ.get("FACET_SOURCES") or ctx.os.environ["HOME"] + "/.cache/facet-sources"
    archive = ctx.path("%s/%s.tar.gz" % (folder, _NAME))
    if not archive.exists:
        fail("%s not found: run deploy/setup.sh" % archive)
    ctx.download_and_extract(
        url = "file://%s" % archive,
        sha256 = _SHA256,
        stripPrefix = _NAME,
    )

    # The archive's own build files are not ours.
    ctx.symlink(Label("//bazel:xgrammar.BUILD"), "BUILD.bazel")

xgrammar_sources = repository_rule(implementation = _impl, environ = ["HOME", "FACET_SOURCES"])
