"""`cloak review`: a person has the last word."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from .options import deadline_option, load_signer

PORT = 8572


@click.command(name="review", short_help="Look at the photos of a run, correct them, and release them.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others demand passwords.")
@click.option("--port", type=click.IntRange(0, 65535), help=f"Port; 0: a free one [{PORT}, or a free one].")
@click.option("--password-file", type=click.Path(path_type=Path), help="Passwords, one a line (or CLOAK_TOKEN).")
@click.option("--reviewer", metavar="NAME", help="Who looks, for the ledger [your login]; the page can change it.")
@click.option("--ledger", type=click.Path(path_type=Path), help="The ledger of the run [OUT.cloak/].")
@click.option("--jobs", "-j", type=click.IntRange(1), default=min(os.cpu_count() or 1, 2), help="Workers that publish.")
@deadline_option
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option(
    "--c2pa-sign", metavar="CERT", type=click.Path(path_type=Path), help="As of the run: sign what is accepted."
)
@click.option("--c2pa-key", metavar="KEY", type=click.Path(path_type=Path), help="The private key in PEM.")
def command(
    out: Path,
    host: str,
    port: int | None,
    password_file: Path | None,
    reviewer: str | None,
    ledger: Path | None,
    jobs: int,
    deadline: float,
    no_browser: bool,
    c2pa_sign: Path | None,
    c2pa_key: Path | None,
) -> None:
    """Open a page on which a person goes through the photos of a run into OUT, the most doubtful first, corrects what
    is concealed, and accepts or holds back each.

    The address that is printed works once, for one browser. Ctrl-C stops the page; nothing is lost.
    """
    signer = load_signer(c2pa_sign, c2pa_key)
    open_desk(out, host, port, password_file, reviewer, ledger, jobs, deadline, no_browser, signer)


def open_desk(
    out: Path,
    host: str = "127.0.0.1",
    port: int | None = None,
    password_file: Path | None = None,
    reviewer: str | None = None,
    ledger: Path | None = None,
    jobs: int = 1,
    deadline: float = 300.0,
    no_browser: bool = False,
    signer: Any = None,
) -> None:
    """Serve the page until a signal ends it."""
    from cloak import pool

    pool.prepare("cloak.review.workers")  # while this process imports the server
    demand_extra()
    from cloak.review.app import Review, create_app
    from cloak.review.desk import Desk
    from cloak.review.doors import DoorKeeper, Doors
    from cloak.service.server import serve
    from cloak.service.settings import demand_token, is_loopback, read_tokens

    passwords = read_tokens(password_file)
    demand_token(host, passwords)
    port = _port(host, port)
    local = is_loopback(host)
    name = f"cloak-review-{port}"  # browsers share cookies among the ports of a host
    doors = Doors(passwords, reviewer if reviewer is not None else _login())
    review = Review(Desk(out, ledger, signer), doors, name, jobs, deadline, secrets.token_bytes(32))
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}/enter?token={doors.invite()}" if local else f"http://{shown}:{port}/login"
    click.echo(f"{len(review.desk.cases)} photos to look at: {address}")
    click.echo("Stop with Ctrl-C; nothing is lost.")
    app = DoorKeeper(create_app(review), doors, name, anywhere=not local)
    with _browser(review.desk.place.parent, "" if no_browser or not local else address):
        serve(app, host, port, review, grace=10)


def demand_extra() -> None:
    """Raise `MissingExtra` if the page cannot be served here."""
    from cloak.errors import MissingExtra

    try:
        import cloak.review.app
        import cloak.service.server  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cloak"):
            raise
        raise MissingExtra("the review page", "review") from None


def _login() -> str:
    """The login of who started this; "" where the system knows no name for it, as in containers: the page then asks."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # the last two from Python 3.13 on, and on Windows
        return ""


def _port(host: str, wanted: int | None) -> int:
    """The port to listen on: the same as last time if it is free, so that a page left open finds its server again."""
    import socket

    for port in (PORT if wanted is None else wanted, 0):
        if port and wanted is not None:
            return port
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    return PORT


@contextlib.contextmanager
def _browser(folder: Path, address: str) -> Iterator[None]:
    """Open the browser once the server listens; by way of a new file in a folder, for the owner only, since every user
    of a machine sees the arguments of its programs, and the address lets whoever comes first in."""
    import tempfile
    import threading
    import webbrowser

    from cloak.process import fleeting

    if not address:
        yield
        return
    descriptor, name = tempfile.mkstemp(".html", "open-", folder)
    with open(descriptor, "w") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0;url={address}">')
    page = Path(name)
    fleeting(page)
    timer = threading.Timer(1.0, webbrowser.open, [page.absolute().as_uri()])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        page.unlink(missing_ok=True)
