"""The configuration of the lab's WAF: nginx with ModSecurity and OWASP CRS, and the application behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from string import Template

#: Where Debian's `modsecurity-crs` and `libnginx-mod-http-modsecurity` put their files.
CRS = Path("/usr/share/modsecurity-crs/rules")
MODULE = Path("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so")

#: After ModSecurity's own recommended configuration, with the engine on: Debian ships it in DetectionOnly.
_ENGINE = Template("""SecRuleEngine $engine
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 131072
SecRequestBodyLimitAction Reject
SecResponseBodyAccess Off
SecAuditEngine Off
SecTmpDir $folder/tmp/
SecDataDir $folder/tmp/
SecArgumentSeparator &
SecCookieFormat 0
SecStatusEngine Off
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\\+|/)|text/)xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
$json
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,t:none,log,deny,status:400,msg:'Failed to parse request body.'"
SecAction "id:900990,phase:1,nolog,pass,t:none,setvar:tx.crs_setup_version=$setup"
SecAction "id:900000,phase:1,nolog,pass,t:none,setvar:tx.paranoia_level=$level,setvar:tx.blocking_paranoia_level=$level"
SecAction "id:900200,phase:1,nolog,pass,t:none,setvar:'tx.allowed_methods=GET HEAD POST OPTIONS PUT PATCH DELETE'"
SecDefaultAction "phase:1,nolog,noauditlog,pass"
SecDefaultAction "phase:2,nolog,noauditlog,pass"
$before
Include $rules/*.conf
$after
""")
_JSON = (
    'SecRule REQUEST_HEADERS:Content-Type "^application/json" '
    '"id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"'
)


def engine(
    folder: Path,
    *,
    level: int = 1,
    mode: str = "On",
    json: bool = True,
    without: str = "",
    before: Iterable[str] = (),
    rules: Path = CRS,
    setup: int = 334,
) -> str:
    """Return ModSecurity's configuration. `without` is a range of rules that is switched off, `before` further rules."""
    after = f"SecRuleRemoveById {without}" if without else ""
    return _ENGINE.substitute(
        engine=mode,
        folder=folder,
        json=_JSON if json else "",
        level=level,
        setup=setup,
        before="\n".join(before),
        rules=rules,
        after=after,
    )


_NGINX = Template("""load_module $module;
daemon off;
# One process: nothing is left when it is killed, and bans are counted in one memory.
master_process off;
pid $folder/nginx.pid;
error_log stderr crit;
events { worker_connections 512; }
http {
    access_log off;
    default_type text/html;
    server_tokens off;
    keepalive_requests 100000;
    client_body_temp_path $folder/tmp/body;
    proxy_temp_path $folder/tmp/proxy;
    fastcgi_temp_path $folder/tmp/fastcgi;
    uwsgi_temp_path $folder/tmp/uwsgi;
    scgi_temp_path $folder/tmp/scgi;
    upstream application { server unix:$folder/application.sock; keepalive 32; }
    $fronts
    # The application: a search, and an API that keeps nothing.
    server {
        listen unix:$folder/application.sock;
        $open
        $admits
        location = /search { return 200 "<!doctype html><title>Search</title><p>Nothing was found.</p>\\n"; }
        location = /api/echo { default_type application/json; return 200 '{"received": true}\\n'; }
        location / { return 404 "<!doctype html><title>Not found</title><p>There is no such page.</p>\\n"; }
    }
}
""")
_FRONT = Template("""server {
        listen 127.0.0.1:$port;
        modsecurity on;
        modsecurity_rules_file $rules;
        $page
        location = /generation { return 200 $generation; }
        location = /blocked.html { internal; modsecurity off; root $folder; }
        location / {
            proxy_pass http://application;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $$host;
        }
    }""")


def configuration(
    folder: Path,
    fronts: dict[int, Path],
    *,
    generation: int = 0,
    page: str = "",
    origin: str = "",
    admits: str = "",
) -> str:
    """Return nginx.conf. `fronts` are ports with their file of rules.

    `origin` is a further address of the application, with its port, which serves `admits` alone if that is given.
    """
    return _NGINX.substitute(
        module=MODULE,
        folder=folder,
        fronts="\n    ".join(
            _FRONT.substitute(port=port, rules=rules, folder=folder, page=page, generation=generation)
            for port, rules in fronts.items()
        ),
        open=f"listen {origin};" if origin else "",
        # Not by `allow`: `return` answers before nginx looks at it.
        admits=f'if ($remote_addr !~ "^(unix:|{re.escape(admits)})$") {{ return 403; }}' if admits else "",
    )
