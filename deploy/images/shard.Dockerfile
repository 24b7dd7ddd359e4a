# One rank of a shard group: holds its slice of the model and runs the steps.
# Build from the root of the repository: docker build -f deploy/images/shard.Dockerfile -t facet-shard .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /facet
COPY deploy/setup.sh deploy/setup.sh
RUN deploy/setup.sh build
COPY . .
RUN bazel build --disk_cache= //services/shard:shard_main \
    && mkdir /out \
    && cp .bazel/bin/services/shard/shard_main /out/ \
    && bazel shutdown

FROM ${BASE}
# The libraries follow the base image's own security updates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgrpc++1.51 libprotobuf32 libprometheus-cpp-pull1.0 libprometheus-cpp-core1.0 libgloo0 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/bin/
USER 10001:10001
EXPOSE 50052 9090
ENTRYPOINT ["/usr/local/bin/shard_main"]
