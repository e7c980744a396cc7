"""A small Wagtail site on SQLite, as a user would have it: `python site.py FOLDER COMMAND`.

CLOAK in the environment (JSON) is the setting of that name.
"""

import copy
import json
import os
import pickle
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

FOLDER = Path(sys.argv[1])
PASSWORD = "a password for the tests"


class NoMigrations:
    """Tables are made as the models stand: hundreds of migrations take a minute."""

    def __contains__(self, app):
        return True

    def __getitem__(self, app):
        return None


def configure():
    (FOLDER / "temporary").mkdir(exist_ok=True)
    storage = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(FOLDER / "media")}}
    values = {
        "SECRET_KEY": "tests", "DEBUG": False, "ALLOWED_HOSTS": ["127.0.0.1"], "ROOT_URLCONF": __name__, "USE_TZ": True,
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "db.sqlite3"}},
        "INSTALLED_APPS": [
            "cloak.django", "wagtail.users", "wagtail.images", "wagtail.documents", "wagtail.admin", "wagtail.search",
            "wagtail", "taggit", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
            "django.contrib.messages", "django.contrib.staticfiles", "django_tasks", "modelsearch",
        ],
        "MIDDLEWARE": [
            "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        "FILE_UPLOAD_HANDLERS": [
            "cloak.django.uploads.UploadHandler", "django.core.files.uploadhandler.MemoryFileUploadHandler",
            "django.core.files.uploadhandler.TemporaryFileUploadHandler",
        ],
        "FILE_UPLOAD_TEMP_DIR": str(FOLDER / "temporary"),
        "STORAGES": {
            "default": {"BACKEND": "cloak.django.storage.CleanStorage", "OPTIONS": {"storage": storage}},
            "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
        },
        "STATIC_URL": "/static/", "MEDIA_URL": "/media/", "WAGTAIL_SITE_NAME": "site",
        "WAGTAILADMIN_BASE_URL": "http://127.0.0.1", "MIGRATION_MODULES": NoMigrations(),
        "CLOAK": json.loads(os.environ.get("CLOAK", "{}")),
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    }  # fmt: skip
    settings.configure(**values)
    django.setup()


def setup():
    from django.contrib.auth import get_user_model

    call_command("migrate", run_syncdb=True, verbosity=0)
    from wagtail.models import Collection

    Collection.add_root(name="Root")
    get_user_model().objects.create_superuser("editor", "editor@example.org", PASSWORD)


def save(file, storage=None):
    """What a program that saves a file gets: its name in the storage, or the kind of the error."""
    from django.core.files.base import File
    from django.core.files.storage import default_storage

    try:
        with file.open("rb") as content:
            return (storage or default_storage).save(file.name, File(content))
    except Exception as error:
        return type(error).__name__


def copies():
    """The site's storage in every way that another one is made of it, by Python and by Django."""
    from django.core.files.storage import storages
    from django.db.migrations.writer import MigrationWriter

    storage = storages["default"]
    storage.exists("a.jpg")  # from here on it holds what it wraps
    text, imports = MigrationWriter.serialize(storage)
    names = {}
    exec("\n".join(sorted(imports)), names)
    made = eval(text, names)  # as a migration's file is
    again = MigrationWriter.serialize(made)
    assert again == (text, imports)
    assert made.deconstruct() == storage.deconstruct()  # else Django would find a change each time
    assert storage.deconstruct()[0] == "cloak.django.storage.CleanStorage"
    return copy.copy(storage), copy.deepcopy(storage), pickle.loads(pickle.dumps(storage)), made


def checks(broken):
    """What the app's checks find in a site with other settings."""
    from django.test import override_settings

    from cloak.django.checks import check

    with override_settings(**broken):
        return [message.id for message in check()]


def command():
    if sys.argv[2] == "serve":
        call_command("runserver", f"127.0.0.1:{sys.argv[3]}", use_reloader=False, skip_checks=True)
    elif sys.argv[2] == "setup":
        setup()
    elif sys.argv[2] == "checks":
        print(json.dumps([checks(case) for case in json.load(sys.stdin)]))
    elif sys.argv[2] == "save":
        print(json.dumps([save(Path(file)) for file in sys.argv[3:]]))
    elif sys.argv[2] == "save-copies":
        print(json.dumps([save(Path(sys.argv[3]), storage) for storage in copies()]))
    else:
        call_command(*sys.argv[2:])


if __name__ == "__main__":
    configure()

from django.urls import include, path  # noqa: E402 - they read the settings

urlpatterns = []
if settings.configured:
    from wagtail.admin import urls as admin_urls

    urlpatterns = [path("admin/", include(admin_urls))]

if __name__ == "__main__":
    command()
