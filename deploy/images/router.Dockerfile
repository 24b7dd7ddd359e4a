# The router: tokenizes, validates and dispatches requests. Also holds the client, for use inside of a cluster.
# Build from the root of the repository: docker build -f deploy/images/router.Dockerfile -t facet-router .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /facet
COPY deploy/setup.sh deploy/setup.sh
RUN deploy/setup.sh build
COPY . .
RUN bazel build --disk_cache= //services/router:router_main //services/client:facet_client \
    && mkdir /out \
    && cp .bazel/bin/services/router/router_main .bazel/bin/services/client/facet_client /out/ \
    && bazel shutdown

FROM ${BASE}
# The libraries follow the base image's own security updates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgrpc++1.51 libprotobuf32 libprometheus-cpp-pull1.0 libprometheus-cpp-core1.0 libre2-9 libcurl4 ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/bin/
USER 10001:10001
EXPOSE 50051 9090
ENTRYPOINT ["/usr/local/bin/router_main"]
