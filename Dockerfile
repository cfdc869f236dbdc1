# Portero in a container: one static binary, no shell, no root.
#
#   docker build -t portero .
#   docker run --network host -v ./portero.yaml:/etc/portero/portero.yaml:ro -v portero:/var/lib/portero portero
#
# Host networking, because SIP and SDP name the addresses that packets go to:
# a port map between the two would tell callers addresses that do not work.

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
# The modules first: they change less often than the source.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/portero ./cmd/portero
# The promise of a callback lives here; the folder must belong to the user
# before a volume is mounted on it.
RUN mkdir -p /out/var/lib/portero /out/etc/portero && cp configs/portero.yaml /out/etc/portero/

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /usr/share/zoneinfo.zip
ENV ZONEINFO=/usr/share/zoneinfo.zip
COPY --from=build /out/portero /portero
COPY --from=build /out/etc/portero /etc/portero
COPY --from=build --chown=65532:65532 /out/var/lib/portero /var/lib/portero
USER 65532:65532
VOLUME /var/lib/portero
# SIP, and the console on loopback; media ports are those of media.ports.
EXPOSE 5060/udp 5060/tcp
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["/portero", "healthcheck"]
# SIGTERM drains: calls may go on for sip.drain.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/portero"]
CMD ["serve", "--config", "/etc/portero/portero.yaml"]
