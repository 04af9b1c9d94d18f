"""The configuration of the lab's nginx, written from its switches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

_HSTS = 'add_header Strict-Transport-Security "max-age=63072000; includeSubDomains" always;'
_HEADERS = """add_header Content-Security-Policy "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'" always;
        add_header X-Content-Type-Options nosniff always;
        add_header Referrer-Policy same-origin always;"""

_MAIN = Template("""daemon off;
# One process: nothing is left when it is killed.
master_process off;
pid $folder/nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
    access_log off;
    default_type text/html;
    server_tokens off;
    client_body_temp_path $folder/tmp/body;
    proxy_temp_path $folder/tmp/proxy;
    fastcgi_temp_path $folder/tmp/fastcgi;
    uwsgi_temp_path $folder/tmp/uwsgi;
    scgi_temp_path $folder/tmp/scgi;
    ssl_ciphers $suites;
    ssl_ecdh_curve X25519:prime256v1:secp384r1;
    ssl_session_cache off;
    ssl_session_tickets off;

    server {
        listen 127.0.0.1:$http;
        listen 127.0.0.2:$http;
        server_name _;
        location = /generation { return 200 $generation; }
        location = /intermediate.crl { root $folder; types { } default_type application/pkix-crl; }
        location / { $redirect }
    }
    server {
        listen 127.0.0.1:$edge ssl;
        server_name app.lab.test;
        ssl_protocols $protocols;
        ssl_certificate $folder/app-$app.rsa.pem;
        ssl_certificate_key $folder/rsa.key;
        ssl_certificate $folder/app-$app.ecdsa.pem;
        ssl_certificate_key $folder/ecdsa.key;
        $hsts
        $headers
        location / { proxy_pass http://127.0.0.1:$application; proxy_connect_timeout 2s; proxy_read_timeout 5s; }
    }
    server {
        listen 127.0.0.2:$edge ssl;
        server_name app.lab.test;
        ssl_protocols $protocols;
        ssl_certificate $folder/app-$second.rsa.pem;
        ssl_certificate_key $folder/rsa.key;
        ssl_certificate $folder/app-$second.ecdsa.pem;
        ssl_certificate_key $folder/ecdsa.key;
        $hsts
        $headers
        location = /health { return $standby_health "standby\\n"; }
        location / { proxy_pass http://127.0.0.1:$application; proxy_connect_timeout 2s; proxy_read_timeout 5s; }
    }
    server {
        listen 127.0.0.1:$api ssl;
        server_name api.lab.test;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate $folder/api.pem;
        ssl_certificate_key $folder/ecdsa.key;
        $staple
        $hsts
        $headers
        location / { proxy_pass http://127.0.0.1:$application; }
    }
    server {
        listen 127.0.0.1:$partner ssl;
        server_name partner.lab.test;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate $folder/partner.pem;
        ssl_certificate_key $folder/ecdsa.key;
        ssl_client_certificate $folder/root.pem;
        ssl_verify_depth 2;
        ssl_verify_client $verify_clients;
        $hsts
        location / { return 200 "partner\\n"; }
    }
    server {
        listen 127.0.0.1:$new ssl;
        server_name platform.lab.test;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate $folder/$new_certificate.pem;
        ssl_certificate_key $folder/ecdsa.key;
        $hsts
        location / { return 200 "new\\n"; }
    }
    server {
        listen 127.0.0.1:$pages ssl;
        server_name www.lab.test;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate $folder/www.pem;
        ssl_certificate_key $folder/ecdsa.key;
        $hsts
        root $folder;
        location = /privacy { $privacy }
        location = /terms { $terms }
        $maintenance
    }
}
""")

_MAINTENANCE = """location = /maintenance { return 503; }
        error_page 503 /$page;
        location = /$page { internal; $retry }"""
_MAINTENANCE_OK = "location = /maintenance { rewrite ^ /maintenance.html break; }"
_MAINTENANCE_BY_APPLICATION = "location = /maintenance { proxy_pass http://127.0.0.1:$application; }"
_RETRY = "add_header Retry-After 1800 always; add_header Cache-Control no-store always;"


def configuration(ports: Mapping[str, int], folder: Path, switches: Mapping[str, Any]) -> str:
    """Return nginx.conf."""
    pages = {
        name: "return 404;"
        if switches[name] == "missing"
        else f"rewrite ^ /{name}-{switches[name]}.html break;"
        for name in ("privacy", "terms")
    }
    return _MAIN.substitute(
        switches,
        folder=folder,
        http=ports["edge-http"],
        edge=ports["edge"],
        application=ports["edge-app"],
        api=ports["edge-api"],
        partner=ports["edge-partner"],
        new=ports["edge-new"],
        pages=ports["edge-pages"],
        redirect=f"return 301 https://$host:{ports['edge']}$request_uri;"
        if switches["redirect"]
        else 'return 200 "in clear\\n";',
        hsts=_HSTS if switches["hsts"] else "",
        headers=_HEADERS,
        staple=f"ssl_stapling on; ssl_stapling_file {folder}/staple.der;"
        if switches["api_staple"] == "good"
        else "",
        new_certificate="new" if switches["new"] == "good" else "new-wrong-name",
        privacy=pages["privacy"],
        terms=pages["terms"],
        maintenance=_maintenance(str(switches["maintenance"]), ports["edge-app"]),
    )


def _maintenance(kind: str, application: int) -> str:
    if kind == "ok":
        return _MAINTENANCE_OK
    if kind == "application":
        return Template(_MAINTENANCE_BY_APPLICATION).substitute(application=application)
    page = "maintenance-external.html" if kind == "external" else "maintenance.html"
    return Template(_MAINTENANCE).substitute(page=page, retry="" if kind == "no-retry" else _RETRY)
