"""Why a server cannot be reached, told apart: proxy, certificate, name, port, silence; with the setting to change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

PATIENCE_SECONDS = 10.0
OWN_CA_API = (
    "export REQUESTS_CA_BUNDLE=/path/to/your-ca.pem   # the certificate of your company's CA, in the job's `env:` or the runner's .env"
)
OWN_CA_GIT = "git config --system http.sslCAInfo /path/to/your-ca.pem   # or the variable GIT_SSL_CAINFO"


@dataclass(frozen=True)
class Trouble:
    """What is wrong, as a sentence, and what to do."""

    message: str
    hint: str


def proxy_of(url: str, env: Mapping[str, str]) -> tuple[str, str] | None:
    """(variable, address without its password) of the proxy that a request to `url` goes through; None: it goes there directly."""
    parts = urlsplit(url)
    for name in (f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"):
        if env.get(name) and name != "HTTP_PROXY":  # a CGI program's request header has that name: nobody trusts it
            return (name, re.sub(r"(?<=//)[^/@\s]+@", "", env[name])) if not _spared(parts.hostname or "", env) else None
    return None


def _spared(host: str, env: Mapping[str, str]) -> bool:
    """Whether `no_proxy` names the host, or a domain it is in."""
    listed = [entry.strip().lstrip(".").lower() for entry in (env.get("no_proxy") or env.get("NO_PROXY") or "").split(",")]
    return any(entry == "*" or (entry and (host.lower() == entry or host.lower().endswith(f".{entry}"))) for entry in listed)


def api(url: str, env: Mapping[str, str], patience: float = PATIENCE_SECONDS) -> Trouble | None:
    """Ask once for `url` as the forge is asked; None where an answer of any kind comes from it."""
    import requests

    try:
        status = requests.get(url, timeout=patience, allow_redirects=False, headers={"User-Agent": "mlops-actions"}).status_code
    except (requests.RequestException, OSError, ValueError) as error:
        return of_api(url, error, env, patience)
    if status == 407:
        return _proxy(url, proxy_of(url, env), "asks for a user and password (407)")
    return None


def of_api(url: str, error: BaseException, env: Mapping[str, str], patience: float = PATIENCE_SECONDS) -> Trouble:
    """An error of requests in words."""
    from requests import exceptions

    text, host = str(error), urlsplit(url).netloc.rpartition("@")[2]
    through = proxy_of(url, env)
    if isinstance(error, exceptions.InvalidURL | exceptions.MissingSchema | exceptions.InvalidSchema | exceptions.InvalidProxyURL):
        return Trouble(f"{_setting(through, host)} is no address that can be asked", "write it like http://proxy.example.com:3128")
    if isinstance(error, exceptions.SSLError):
        return _certificate_api(host, text, env)
    if isinstance(error, exceptions.ProxyError):
        return _proxy(url, through, _refused_how(text))
    if isinstance(error, exceptions.Timeout):
        return _silent(host, through, patience)
    if "NameResolutionError" in text or "getaddrinfo" in text:
        return _unknown(host)
    if isinstance(error, exceptions.ConnectionError):
        why = (
            "the connection is refused"
            if "refused" in text
            else "the connection is cut off"
            if "reset" in text or "aborted" in text
            else "no connection is made"
        )
        return Trouble(f"{host} cannot be reached: {why}", _way_out(through))
    if "CA certificate bundle" in text or "certificate" in text:
        name = next((name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if env.get(name)), "REQUESTS_CA_BUNDLE")
        return Trouble(
            f"{name} is {env.get(name)}, and there is no such file of certificates", f"{name}: name a PEM file that is there, or unset it"
        )
    return Trouble(f"{host} cannot be asked ({type(error).__name__})", _way_out(through))


def of_git(url: str, text: str, env: Mapping[str, str], configured: str = "") -> Trouble | None:
    """What git said in words; None where the server answered, even with a no. configured: git's own `http.proxy`, which goes before variables."""
    host = urlsplit(url).netloc.rpartition("@")[2] or url
    through = ("http.proxy", re.sub(r"(?<=//)[^/@\s]+@", "", configured)) if configured else proxy_of(url, env)
    if re.search(r"resolve proxy", text, re.I):
        return _proxy(url, through, "has a name that nobody knows")
    if found := re.search(r"(?:tunnel failed, response|HTTP code) (\d+)|Proxy CONNECT aborted", text, re.I):
        return _proxy(url, through, _refused_how(f"response {found[1]}" if found[1] else "aborted"))
    if re.search(r"could not resolve host(name)?|name or service not known|temporary failure in name resolution", text, re.I):
        return _unknown(host)
    if re.search(r"certificate|SSL|TLS|CAfile", text) and "unable to access" in text:
        return _certificate_git(host, text, env)
    if found := re.search(r"failed to connect to (\S+) port (\d+)", text, re.I):
        peer = f"{found[1]}:{found[2]}"
        if through and urlsplit(through[1] if "://" in through[1] else f"//{through[1]}").hostname == found[1]:
            return _proxy(url, through, "does not take the connection")
        return (
            _silent(host, through, None)
            if re.search(r"timed? ?out", text, re.I)
            else Trouble(f"git: {peer} cannot be reached: the connection is refused", _way_out(through))
        )
    if re.search(r"timed out|timeout", text, re.I):
        return _silent(host, through, None)
    if re.search(
        r"unable to access .*(reset|empty reply|recv failure|network is unreachable)|connection (refused|closed|reset)", text, re.I
    ):
        return Trouble(f"git: {host} cannot be reached: {text.strip().splitlines()[0][-120:]}", _way_out(through))
    return None


def silent_git(url: str, env: Mapping[str, str], patience: float) -> Trouble:
    """Git that had to be ended."""
    host = urlsplit(url).netloc.rpartition("@")[2] or url
    return _silent(f"git: {host}", proxy_of(url, env), patience)


def _refused_how(text: str) -> str:
    # Never a number alone: a port may be 443 or 40712.
    found = re.search(r"(?:connection failed: |^response )([1-5]\d\d)\b", text)
    if found:
        return "asks for a user and password (407)" if found[1] == "407" else f"does not let us through to it ({found[1]})"
    if "resol" in text.lower() or "getaddrinfo" in text:
        return "has a name that nobody knows"
    return "does not take the connection"


def _proxy(url: str, through: tuple[str, str] | None, how: str) -> Trouble:
    host = urlsplit(url).hostname
    name, address = through or ("a proxy of the system", "")
    hint = f"{name} must name a proxy that works, with its user and password where it asks for them\nno_proxy={host}   # to go there without it"
    if name == "http.proxy":
        hint = f"git config --show-origin --get http.proxy   # says which file sets it\nno_proxy={host}   # to go there without it"
    return Trouble(f"the proxy {address} ({name}) on the way to {host} {how}".replace("  ", " "), hint)


def _certificate_api(host: str, text: str, env: Mapping[str, str]) -> Trouble:
    if found := re.search(r"mismatch|doesn't match|not valid for", text):
        return Trouble(
            f"the certificate of {host} is another server's ({found[0]})",
            "is the address of the API (GITHUB_API_URL) the one on the certificate?",
        )
    if "expired" in text or "not yet valid" in text:
        return Trouble(
            f"the certificate of {host} has expired, or the clock here is wrong", "date   # is it right? else tell whoever runs that server"
        )
    if re.search(r"WRONG_VERSION_NUMBER|record layer|HTTP_REQUEST", text):
        return Trouble(f"{host} does not speak TLS", "is the port right, or does a proxy answer in its place? (https_proxy, no_proxy)")
    if "CERTIFICATE_VERIFY_FAILED" not in text and "certificate" not in text.lower():
        return Trouble(
            f"{host} breaks the TLS connection off", "does a firewall or proxy look into it? (https_proxy, no_proxy, REQUESTS_CA_BUNDLE)"
        )
    set_ = next((name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if env.get(name)), None)
    said = "signed by itself" if "self-signed" in text or "self signed" in text else "signed by nobody who is known here"
    hint = OWN_CA_API
    if set_:
        hint = f"{set_} is {env[set_]}: add the CA of that server to it"
    elif env.get("SSL_CERT_FILE"):
        hint = f"SSL_CERT_FILE is not read here:\nexport REQUESTS_CA_BUNDLE={env['SSL_CERT_FILE']}"
    return Trouble(f"the certificate of {host} is {said}", hint)


def _certificate_git(host: str, text: str, env: Mapping[str, str]) -> Trouble:
    if re.search(r"does not match|no alternative certificate subject", text):
        return Trouble(
            f"git: the certificate of {host} is another server's", "git remote -v   # is the address the one on the certificate?"
        )
    if "expired" in text:
        return Trouble(f"git: the certificate of {host} has expired, or the clock here is wrong", "date   # is it right?")
    own = env.get("GIT_SSL_CAINFO")
    unread = re.search(r"Problem with the SSL CA cert|error (setting|adding) |CAfile: /", text) and "verification failed" not in text
    if unread and (own or "CA cert" in text):
        named = f"GIT_SSL_CAINFO is {own}, and it" if own else "http.sslCAInfo names a file that"
        return Trouble(f"git: {named} is no file of certificates", OWN_CA_GIT)
    if re.search(r"unexpected TLS packet|wrong version number|record layer", text, re.I):
        return Trouble(
            f"git: {host} does not speak TLS", "is the port right, or does a proxy answer in its place? (https_proxy, http.proxy)"
        )
    if re.search(r"certificate|CAfile", text):
        either = ", or has expired" if "server certificate verification failed" in text else ""  # GnuTLS does not say which
        return Trouble(f"git: the certificate of {host} is signed by nobody who is known here{either}", OWN_CA_GIT)
    return Trouble(
        f"git: {host} breaks the TLS connection off", "does a firewall or proxy look into it? (https_proxy, http.proxy, GIT_SSL_CAINFO)"
    )


def _silent(host: str, through: tuple[str, str] | None, patience: float | None) -> Trouble:
    within = f" within {patience:.0f} s" if patience else ""
    return Trouble(f"{host} gives no answer{within}: something on the way drops what is sent", _way_out(through))


def _unknown(host: str) -> Trouble:
    return Trouble(
        f"nobody knows the name {host} here (DNS)",
        "is there a network? is the name right? behind a proxy: https_proxy=http://proxy:3128, which asks for us",
    )


def _setting(through: tuple[str, str] | None, host: str) -> str:
    return f"{through[0]} ({through[1]})" if through else host


def _way_out(through: tuple[str, str] | None) -> str:
    if through:
        return f"the way goes through {through[1]} ({through[0]}): does it lead there?"
    return "a firewall between? behind a proxy: https_proxy=http://proxy.example.com:3128"
