"""The configurations of the lab's caches, written from what is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from string import Template

from pytest_deploygate.lab.cdn_origin import ACCOUNT, HOSTNAME
from pytest_deploygate.lab.state import HOST

#: Variants are kept apart as clients ask for them; the rest of Varnish's own rules follows these.
_VARNISH = Template("""vcl 4.1;
backend origin { .host = "$host"; .port = "$origin"; .connect_timeout = 1s; .first_byte_timeout = 5s; }

sub vcl_recv {
    set req.http.Host = "$hostname";
    if (req.method == "PURGE") { $purge }
    unset req.http.X-Forwarded-For;
    $receive
    if (req.url ~ "^/assets/") { unset req.http.Cookie; return (hash); }
}

sub vcl_hash { $key }

sub vcl_backend_response {
    set beresp.grace = $grace;
    $fetched
}

sub vcl_deliver {
    unset resp.http.Via;
    unset resp.http.X-Varnish;
    if (obj.hits > 0) { set resp.http.Cache-Status = "$name; hit"; }
    elsif (obj.uncacheable) { set resp.http.Cache-Status = "$name; fwd=bypass"; }
    else { set resp.http.Cache-Status = "$name; fwd=uri-miss; stored"; }
    $deliver
}
""")

_NGINX = Template("""daemon off;
# One process: nothing is left when it is killed.
master_process off;
pid $folder/nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
    access_log off;
    server_tokens off;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    proxy_cache_path $folder/kept levels=1 keys_zone=kept:1m max_size=32m use_temp_path=off;
    map $$upstream_cache_status $$told {
        HIT hit;
        STALE hit;
        UPDATING hit;
        MISS fwd=uri-miss;
        EXPIRED fwd=stale;
        REVALIDATED "fwd=stale; fwd-status=304";
        default fwd=bypass;
    }
    map $$request_uri $$keyed {
        $keyed
        default $$request_uri;
    }
    server {
        listen $host:$port;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $hostname;
        proxy_set_header X-Forwarded-For "";
        proxy_pass_header Date;
        proxy_cache $cache;
        proxy_cache_key $$keyed;
        $stale
        add_header Cache-Status "$name; $$told" always;
        $more
        location / {
            proxy_pass http://$host:$origin;
        }
        $locations
    }
}
""")

_FRONT = Template("""daemon off;
# One process: nothing is left when it is killed.
master_process off;
pid $folder/nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
    access_log off;
    server_tokens off;
    client_body_temp_path $folder/tmp/body;
    proxy_temp_path $folder/tmp/proxy;
    fastcgi_temp_path $folder/tmp/fastcgi;
    uwsgi_temp_path $folder/tmp/uwsgi;
    scgi_temp_path $folder/tmp/scgi;
    large_client_header_buffers 4 16k;
    upstream caches { server $host:$node1; server $host:$node2; keepalive 16; }
    server {
        listen $host:$plain;
        location = /generation { return 200 $generation; }
        location / { $redirect }
    }
    server {
        listen $host:$tls ssl;
        server_name $hostname;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate $certificates/cdn.pem;
        ssl_certificate_key $certificates/ecdsa.key;
        location / {
            proxy_pass http://caches;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $$host;
            proxy_buffering off;
            proxy_pass_header Date;
            $unconditional
        }
    }
}
""")


def varnish(name: str, ports: Mapping[str, int], wrong: Collection[str]) -> str:
    """Return the VCL of a cache."""
    receive, fetched, key, deliver = [], [], [], []
    if "never-hits" in wrong:
        receive.append("return (pass);")
    if "shared-account" in wrong:
        receive.append(f'if (req.url ~ "^{ACCOUNT}") {{ return (hash); }}')
        fetched.append(
            f'if (bereq.url ~ "^{ACCOUNT}" && beresp.status == 200) {{ set beresp.ttl = 60s; return (deliver); }}'
        )
    if "by-extension" in wrong:
        receive.append('if (req.url ~ "\\.(css|js)(\\?|$)") { return (hash); }')
        fetched.append(
            'if (bereq.url ~ "\\.(css|js)(\\?|$)" && beresp.status == 200) { set beresp.ttl = 60s; return (deliver); }'
        )
    if "passes-ranges" in wrong:
        receive.append("if (req.http.Range) { return (pass); }")
    if "gzip-for-all" in wrong:
        receive.append('set req.http.Accept-Encoding = "gzip";')
    if "unkeyed-parameter" in wrong:
        key.append(
            'hash_data(regsuball(req.url, "[?&]utm_[a-z]+=[^&]*", "")); hash_data(req.http.host); return (lookup);'
        )
    if "other-type" in wrong:
        deliver.append('set resp.http.Content-Type = "text/plain";')
    ignores = "ignores-purge" in wrong and name.endswith("2")
    return _VARNISH.substitute(
        name=name,
        host=HOST,
        hostname=HOSTNAME,
        origin=ports["cdn-origin"],
        purge='return (synth(200, "Purged"));' if ignores else "return (purge);",
        receive=" ".join(receive),
        fetched=" ".join(fetched),
        key=" ".join(key),
        grace="0s" if "no-grace" in wrong else "10m",
        deliver=" ".join(deliver),
    )


def nginx(name: str, folder: Path, ports: Mapping[str, int], wrong: Collection[str]) -> str:
    """Return the configuration of a cache where there is no Varnish. A request with X-Purge fetches its object anew."""
    anew = [] if "ignores-purge" in wrong and name.endswith("2") else ["$http_x_purge"]
    passed, more, locations = [], [], []
    if "passes-ranges" in wrong:
        passed.append("$http_range")
        more.append("proxy_set_header Range $http_range;")
    if passed:
        more.append(f"proxy_no_cache {' '.join(passed)};")
    if anew or passed:
        more.append(f"proxy_cache_bypass {' '.join([*anew, *passed])};")
    if "gzip-for-all" in wrong:
        more.append("proxy_set_header Accept-Encoding gzip; proxy_ignore_headers Vary;")
    if "other-type" in wrong:
        more.append("proxy_hide_header Content-Type; add_header Content-Type text/plain always;")
    for switch, path in (("shared-account", f"^{ACCOUNT}"), ("by-extension", r"\.(css|js)$")):
        if switch in wrong:
            ignored = "proxy_ignore_headers Cache-Control Expires Set-Cookie; proxy_cache_valid 200 60s;"
            locations.append(
                f"location ~ {path} {{ {ignored} proxy_pass http://{HOST}:{ports['cdn-origin']}; }}"
            )
    stale = "off" if "no-grace" in wrong else "error timeout http_500 http_502 http_503 http_504"
    return _NGINX.substitute(
        name=name,
        folder=folder,
        host=HOST,
        hostname=HOSTNAME,
        port=ports[f"cdn-{name}"],
        origin=ports["cdn-origin"],
        cache="off" if "never-hits" in wrong else "kept",
        keyed=r'"~^(?<start>[^?]*\?deploygate=\w+)&utm_" $start;' if "unkeyed-parameter" in wrong else "",
        stale=f"proxy_cache_use_stale {stale};",
        more=" ".join(more),
        locations=" ".join(locations),
    )


def front(
    folder: Path, certificates: Path, ports: Mapping[str, int], generation: int, wrong: Collection[str]
) -> str:
    """Return the configuration of nginx with TLS, before the caches."""
    return _FRONT.substitute(
        folder=folder,
        certificates=certificates,
        host=HOST,
        hostname=HOSTNAME,
        generation=generation,
        node1=ports["cdn-node1"],
        node2=ports["cdn-node2"],
        plain=ports["cdn-plain"],
        tls=ports["cdn"],
        unconditional='proxy_set_header If-None-Match ""; proxy_set_header If-Modified-Since "";'
        if "no-304" in wrong
        else "",
        redirect="proxy_pass http://caches; proxy_set_header Host $host;"
        if "plain" in wrong
        else f"return 301 https://{HOSTNAME}:{ports['cdn']}$request_uri;",
    )
