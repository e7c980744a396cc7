"""The Django app: nothing but checks."""

from django.apps import AppConfig
from django.core.checks import register


class CloakConfig(AppConfig):
    """`INSTALLED_APPS += ["cloak.django"]`: `manage.py check` then says what is wrong with the settings."""

    name = "cloak.django"
    label = "cloak_django"
    verbose_name = "cloak"

    def ready(self) -> None:
        from cloak.django.checks import check

        register(check)
