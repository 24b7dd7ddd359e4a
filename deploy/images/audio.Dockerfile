# The audio encoder: sound to soft tokens.
# Build from the root of the repository: docker build -f deploy/images/audio.Dockerfile -t facet-audio .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /facet
COPY deploy/setup.sh deploy/setup.sh
RUN deploy/setup.sh build
COPY . .
RUN bazel build --disk_cache= //services/audio:audio_main \
    && mkdir /out \
    && cp .bazel/bin/services/audio/audio_main /out/ \
    && bazel shutdown

FROM ${BASE}
# The libraries follow the base image's own security updates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgrpc++1.51 libprotobuf32 libprometheus-cpp-pull1.0 libprometheus-cpp-core1.0 libsndfile1 libsoxr0 libkissfft-float131 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/bin/
USER 10001:10001
EXPOSE 50054 9090
ENTRYPOINT ["/usr/local/bin/audio_main"]
