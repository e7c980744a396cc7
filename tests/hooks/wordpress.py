"""A real WordPress with MariaDB and PHP, from Debian's packages, in a folder of its own; our plugin is active."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.hooks.running import INTEGRATIONS, free_port, running

SOURCE = Path("/usr/share/wordpress")
NEEDS = ("php", "mariadbd", "mariadb-install-db", str(SOURCE))
USER, PASSWORD = "editor-in-chief", "a-Password-of-the-Tests-9"

CONFIG = """<?php
define( 'DB_NAME', 'wordpress' );
define( 'DB_USER', 'root' );
define( 'DB_PASSWORD', '' );
define( 'DB_HOST', 'localhost:{socket}' );
define( 'DB_CHARSET', 'utf8mb4' );
define( 'DB_COLLATE', '' );
define( 'WP_SITEURL', '{address}' );
define( 'WP_HOME', '{address}' );
define( 'WP_ENVIRONMENT_TYPE', 'local' );
define( 'WP_HTTP_BLOCK_EXTERNAL', true );
define( 'WP_ACCESSIBLE_HOSTS', '127.0.0.1' );
define( 'AUTOMATIC_UPDATER_DISABLED', true );
define( 'DISABLE_WP_CRON', true );
define( 'WP_DEBUG', true );
define( 'WP_DEBUG_DISPLAY', false );
define( 'WP_DEBUG_LOG', '{folder}/debug.log' );
$table_prefix = 'wp_';
if ( ! defined( 'ABSPATH' ) ) {{ define( 'ABSPATH', __DIR__ . '/' ); }}
require_once ABSPATH . 'wp-settings.php';
"""


@dataclass
class WordPress:
    """The site, and a browser in which its administrator is logged in."""

    folder: Path
    address: str
    browser: httpx.Client

    @property
    def uploads(self):
        return self.folder / "site/wp-content/uploads"

    @property
    def temporary(self):
        return self.folder / "tmp"

    def page(self, path):
        return self.browser.get(f"{self.address}/{path}", follow_redirects=True)

    def field(self, path, name):
        """The value of a hidden field, or of a nonce in a script, on a page."""
        text = self.page(path).text
        found = re.search(rf'name="{name}"[^>]*value="([^"]+)"', text) or re.search(rf'"{name}":"([^"]+)"', text)
        assert found, f"{name} is not on {path}"
        return found[1]

    def by_form(self, data, name="photo.jpg"):
        """The uploader of the media library: (id or None, what the editor reads)."""
        nonce = self.field("wp-admin/media-new.php", "_wpnonce")
        answer = self.browser.post(
            f"{self.address}/wp-admin/async-upload.php",
            data={"action": "upload-attachment", "_wpnonce": nonce, "name": name},
            files={"async-upload": (name, data, "image/jpeg")},
        ).json()
        return (answer["data"]["id"], "") if answer["success"] else (None, answer["data"]["message"])

    def by_plain_form(self, data, name="photo.jpg"):
        """The form for browsers without scripts: what the editor reads."""
        page = self.browser.post(
            f"{self.address}/wp-admin/media-new.php",
            data={"_wpnonce": self.field("wp-admin/media-new.php", "_wpnonce"), "html-upload": "Upload"},
            files={"async-upload": (name, data, "image/jpeg")},
            follow_redirects=True,
        )
        return page.text

    def by_rest(self, data, name="photo.jpg", multipart=False):
        """The block editor's way: the answer."""
        nonce = self.page("wp-admin/admin-ajax.php?action=rest-nonce").text
        headers = {"X-WP-Nonce": nonce}
        if multipart:
            body = {"files": {"file": (name, data, "image/jpeg")}}
        else:
            headers |= {"Content-Disposition": f'attachment; filename="{name}"', "Content-Type": "image/jpeg"}
            body = {"content": data}
        return self.browser.post(f"{self.address}/?rest_route=/wp/v2/media", headers=headers, **body)

    def by_xmlrpc(self, data, name="photo.jpg", method="metaWeblog.newMediaObject", password=PASSWORD):
        """What editors on a desktop and phones use: the struct, or a fault."""
        struct = {"name": name, "type": "image/jpeg", "bits": xmlrpc.client.Binary(data)}
        server = xmlrpc.client.ServerProxy(f"{self.address}/xmlrpc.php")
        return getattr(server, method)(1, USER, password, struct)

    def php(self, code, *arguments):
        """What code prints that runs as another plugin would, with the media functions loaded."""
        lead = f"require '{self.folder}/site/wp-load.php';"
        lead += "foreach (['file', 'media', 'image'] as $x) { require_once ABSPATH . \"wp-admin/includes/$x.php\"; }"
        command = ["php", *self.settings(), "-r", lead + code, "--", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def settings(self):
        values = {
            "upload_max_filesize": "64M", "post_max_size": "64M", "memory_limit": "128M", "display_errors": "stderr",
            "sys_temp_dir": self.temporary, "upload_tmp_dir": self.temporary, "opcache.revalidate_freq": 0,
        }  # fmt: skip
        return [word for key, value in values.items() for word in ("-d", f"{key}={value}")]

    @contextlib.contextmanager
    def configured(self, name, value):
        """Within the block, wp-config.php defines a constant."""
        place = self.folder / "site/wp-config.php"
        before = place.read_text()
        place.write_text(before.replace("<?php\n", f"<?php\ndefine( '{name}', '{value}' );\n", 1))
        try:
            yield
        finally:
            place.write_text(before)

    def option(self, **values):
        """Sets the plugin's stored settings."""
        pairs = ", ".join(f"'{key}' => '{value}'" for key, value in values.items())
        self.php(f"update_option('cloak', array_merge((array) get_option('cloak', []), [{pairs}]));")


@contextlib.contextmanager
def mariadb():
    """A database server of its own, with an empty database; gives its socket."""
    user = ["--user=mysql"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="cloak-") as place:  # pytest's folders are closed to the server's user
        os.chmod(place, 0o755)
        data = Path(place) / "data"
        common = ["--no-defaults", *user, f"--datadir={data}"]
        install = ["mariadb-install-db", *common, "--auth-root-authentication-method=normal"]
        subprocess.run(install, check=True, capture_output=True)
        socket = data / "socket"
        client = ["mariadb", "--no-defaults", f"--socket={socket}", "-uroot", "-e"]
        answers = lambda: subprocess.run([*client, "select 1"], capture_output=True).returncode == 0  # noqa: E731
        with running(["mariadbd", *common, f"--socket={socket}", "--skip-networking"], answers, Path(place) / "log"):
            subprocess.run([*client, "create database wordpress"], check=True)
            yield socket


@contextlib.contextmanager
def wordpress(folder):
    """Installs WordPress through its own pages and activates the plugin on the page of plugins."""
    shutil.copytree(SOURCE, folder / "site", ignore=shutil.ignore_patterns(".htaccess", "wp-config.php"))
    shutil.copytree(INTEGRATIONS / "wordpress/cloak", folder / "site/wp-content/plugins/cloak")
    (folder / "site/wp-content/uploads").mkdir()
    (folder / "tmp").mkdir()
    port = free_port()
    site = WordPress(folder, f"http://127.0.0.1:{port}", httpx.Client(timeout=300))
    php = ["php", *site.settings(), "-S", f"127.0.0.1:{port}", "-t", str(folder / "site")]
    environment = {**os.environ, "PHP_CLI_SERVER_WORKERS": "3"}
    up = lambda: httpx.get(f"{site.address}/readme.html").status_code == 200  # noqa: E731
    with mariadb() as socket:
        config = CONFIG.format(socket=socket, address=site.address, folder=folder)
        (folder / "site/wp-config.php").write_text(config)
        with running(php, up, folder / "php.log", env=environment):
            _install(site)
            yield site


def _install(site):
    form = {
        "weblog_title": "Paper", "user_name": USER, "admin_password": PASSWORD, "admin_password2": PASSWORD,
        "admin_email": "editor@example.org", "Submit": "Install WordPress", "language": "",
    }  # fmt: skip
    done = site.browser.post(f"{site.address}/wp-admin/install.php?step=2", data=form)
    assert "Success" in done.text, done.text[-2000:]
    site.page("wp-login.php")
    login = {"log": USER, "pwd": PASSWORD, "wp-submit": "Log In", "testcookie": "1"}
    site.browser.post(f"{site.address}/wp-login.php", data=login)
    link = re.search(r'plugins\.php\?action=activate&amp;plugin=cloak[^"]+', site.page("wp-admin/plugins.php").text)
    assert link
    assert "Plugin activated" in site.page("wp-admin/" + link[0].replace("&amp;", "&")).text
