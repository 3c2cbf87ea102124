# The images: `docker build --target gateway .` and `docker build --target operator .`. Each has one binary, the libraries
# that it is linked with, the roots of trust and a user who is not root; no shell, no package manager. They run with a
# read-only root and as any user. The builder's tag follows rust-version of Cargo.toml.
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
# Files of the images. The tests run these very lines and hold the result against the images that they build themselves.
RUN set -e; for name in gateway operator; do \
      root=/images/$name; binary=/usr/local/bin/portolan-$name; \
      mkdir -p $root/etc/ssl/certs $root/usr/local/bin; install -d -m 1777 $root/tmp; \
      cp $binary $root/usr/local/bin/; \
      for library in $(ldd $binary | grep -o '/[^ ]*'); do mkdir -p $root$(dirname $library); cp -L $library $root$library; chmod 755 $root$library; done; \
      cp /etc/ssl/certs/ca-certificates.crt $root/etc/ssl/certs/; \
      printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' > $root/etc/passwd; \
      printf 'root:x:0:\nnonroot:x:65532:\n' > $root/etc/group; \
      printf 'hosts: files dns\n' > $root/etc/nsswitch.conf; \
    done

FROM scratch AS operator
COPY --from=build /images/operator/ /
ENV PATH=/usr/local/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/portolan-operator"]

# The last one is what a build without --target gives.
FROM scratch AS gateway
COPY --from=build /images/gateway/ /
ENV PATH=/usr/local/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
EXPOSE 8080 9090
# Mount the manifests at /etc/portolan. The admin port is open to probes and to Prometheus.
ENTRYPOINT ["/usr/local/bin/portolan-gateway"]
CMD ["--manifests", "/etc/portolan", "--listen", "0.0.0.0:8080", "--admin", "0.0.0.0:9090"]
