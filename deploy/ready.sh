#!/bin/bash
# Whether the creditgate of this container can serve: the image's health check, which has no curl.
#
#   ready.sh [HTTP_PORT] [GRPC_PORT]
#
# A process with the role `http` is asked at /readyz. One without it is asked whether gRPC listens, which it does
# only after its data is open. Ends with 0 for yes, 1 for no.
# HTTP that speaks TLS (`tls.certificate_file`) it cannot ask: have /readyz asked over https instead.
set -u
http=${1:-7421}
grpc=${2:-7420}

# /dev/tcp is bash's own. Nobody listening is an answer here, no error to print.
if { exec 3<>"/dev/tcp/127.0.0.1/$http"; } 2>/dev/null; then
    printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
    read -r -t 4 -u 3 _ code _ && [[ $code == 200 ]] && exit 0
    exit 1
fi
if { exec 3<>"/dev/tcp/127.0.0.1/$grpc"; } 2>/dev/null; then exit 0; fi
exit 1
