# Both binaries in an image without shell or package manager. The builder's tag follows rust-version of Cargo.toml.
FROM rust:1.90-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crds crds
COPY dataplane dataplane
COPY operator operator
# A member of the workspace, so that the lock file holds; it is not built.
COPY e2e e2e
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist -p dataplane --bin portolan-gateway -p operator --bin portolan-operator \
    && cp target/dist/portolan-gateway target/dist/portolan-operator /usr/local/bin/

# glibc, the roots of the platform's trust, and a user that is not root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/portolan-gateway /usr/local/bin/portolan-operator /usr/local/bin/
EXPOSE 8080 9090
# Mount the manifests at /etc/portolan. The admin port is open to probes and to Prometheus.
ENTRYPOINT ["/usr/local/bin/portolan-gateway"]
CMD ["--manifests", "/etc/portolan", "--listen", "0.0.0.0:8080", "--admin", "0.0.0.0:9090"]
