# The gateway: OpenAI's HTTP API, and a page to chat on, before the routers.
# Build from the root of the repository: docker build -f deploy/images/gateway.Dockerfile -t facet-gateway .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /facet
COPY deploy/setup.sh deploy/setup.sh
RUN deploy/setup.sh build
COPY . .
RUN bazel build --disk_cache= //services/gateway:openai_gateway_main \
    && mkdir /out \
    && cp .bazel/bin/services/gateway/openai_gateway_main /out/ \
    && bazel shutdown

FROM ${BASE}
# The libraries follow the base image's own security updates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgrpc++1.51 libprotobuf32 libprometheus-cpp-pull1.0 libprometheus-cpp-core1.0 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/bin/
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/openai_gateway_main"]
