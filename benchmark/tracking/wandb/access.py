"""How Weights & Biases can be reached: the login, the mode, and a server that may be down."""

from __future__ import annotations

import netrc
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmark.tracking import base

if TYPE_CHECKING:
    import wandb

PROBE_TIMEOUT_S = 3.0


def effective_mode(asked: str) -> tuple[str, str]:
    """Which mode a run is tracked in, and why.

    ``auto`` obeys ``WANDB_MODE``; without it, it is online with an API key or login for the server
    (``WANDB_API_KEY``, netrc, ``WANDB_BASE_URL``), else offline. The server is not contacted.

    Args:
        asked: ``auto``, ``online``, ``offline`` or ``off``.

    Returns:
        ``online``, ``offline`` or ``off``, and the reason in words.
    """
    if asked in ("off", "offline"):
        return asked, "asked for"
    found = known_settings()
    if asked == "auto" and found.mode in ("disabled", "offline", "dryrun"):
        return ("off" if found.mode == "disabled" else "offline"), f"WANDB_MODE={found.mode}"
    if _has_login(found):
        return "online", f"API key or login found for {found.base_url}"
    return "offline", f"no API key or login for {found.base_url} (`wandb login` stores one)"


def known_settings() -> wandb.Settings:
    """The settings in wandb's files and the environment; its service process is not started."""
    from wandb.sdk import wandb_setup

    return wandb_setup.singleton().settings


def _has_login(found: wandb.Settings) -> bool:
    if found.api_key or found.identity_token_file:
        return True
    from wandb.sdk.lib import urls

    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        hosts = netrc.netrc(str(path)).hosts
    except FileNotFoundError:
        return False
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
        # The error's own text may quote the file, passwords included.
        warn(f"{path} cannot be read ({type(error).__name__}), so no login is known")
        return False
    # A login made before W&B's own server changed its name stands under the old one.
    servers = (found.base_url, urls.forge_upstream_url(found.base_url))
    entries = [hosts.get(urlsplit(server).netloc) for server in servers]
    return any(entry is not None and entry[2] for entry in entries)


def unreachable(server: str) -> bool:
    """Whether nothing answers at the server's URL; False if only wandb's settings know the way."""
    found = known_settings()
    proxied = found.http_proxy or found.https_proxy or found.x_proxies
    return not proxied and not _answers(server)


def _answers(url: str) -> bool:
    """Whether a server says anything at all over HTTP, found out in 3 s.

    In a thread, because looking up a host name has no timeout. ``urllib`` honours ``HTTPS_PROXY``.
    """
    # Here: a command that asks no server does without the time of these imports.
    import http.client
    import urllib.error
    import urllib.request

    answered = threading.Event()
    done = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, method="HEAD"), timeout=PROBE_TIMEOUT_S
            ):
                answered.set()
        except urllib.error.HTTPError:
            answered.set()
        except (OSError, ValueError, http.client.HTTPException) as error:
            # A certificate that only wandb is told to trust is an answer too.
            if "CERTIFICATE" in str(error):
                answered.set()
        finally:
            done.set()

    threading.Thread(target=ask, name="wandb-probe", daemon=True).start()
    done.wait(PROBE_TIMEOUT_S)
    return answered.is_set()


def warn(text: str) -> None:
    """Writes a line to stderr, which is the job's log."""
    base.warn("W&B", text)
