"""Clean photos in Django and Wagtail: uploads before anything stores them, and programmatic saves.

INSTALLED_APPS += ["cloak.django"]
FILE_UPLOAD_HANDLERS = ["cloak.django.uploads.UploadHandler", ...]
STORAGES = {"default": {"BACKEND": "cloak.django.storage.CleanStorage", "OPTIONS": {"storage": {"BACKEND": ...}}}}
CLOAK = {"PIPELINE": "cms", "SERVER": "http://127.0.0.1:8571"}
"""
