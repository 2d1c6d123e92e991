# A Docker with Compose, and what stands in for the images that compose.yaml names: Debian's packages on the tests' own base.
ARG BASE
FROM ${BASE} AS docker
RUN apt-get update \
    && apt-get install --yes --no-install-recommends docker.io docker-cli docker-compose iptables prometheus \
    && rm -r /var/lib/apt/lists /var/cache/apt

# User, paths and entry point are those of the real one.
FROM ${BASE} AS prometheus
RUN install --directory --owner=nobody --group=nogroup /prometheus
COPY --from=docker /usr/bin/prometheus /bin/prometheus
WORKDIR /prometheus
VOLUME /prometheus
USER nobody
ENTRYPOINT ["/bin/prometheus"]

# The real one leaves root by itself, and has its protected mode off where it is compiled.
FROM ${BASE} AS valkey
RUN apt-get update \
    && apt-get install --yes --no-install-recommends valkey-server \
    && rm -r /var/lib/apt/lists /var/cache/apt \
    && install --directory --owner=valkey --group=valkey /data
WORKDIR /data
USER valkey
ENTRYPOINT ["sh", "-c", "exec \"$@\" --protected-mode no", "sh"]

# Not Grafana, which is in no package: a place that is given what the real one would be, as its user.
FROM ${BASE} AS grafana
RUN install --directory --owner=472 /var/lib/grafana
USER 472:0
ENTRYPOINT ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"]
