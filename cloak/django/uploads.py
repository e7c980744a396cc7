"""Uploads: cleaned while the request is read, before a form, a model or the disk sees a byte of them."""

import logging
from io import BytesIO
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import InMemoryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopFutureHandlers

from cloak.django.cleaning import clean, digest, is_photo, settings, words
from cloak.errors import CloakError, TooLarge

_log = logging.getLogger("cloak.django")

ENOUGH = 64
"""Bytes that tell an image by its content."""


class CleanUpload(InMemoryUploadedFile):
    """A photo that was cleaned in this process; `digest` is that of its clean bytes."""

    digest: bytes


class RefusedUpload(UploadedFile):
    """A photo that was refused: empty, and any form that looks at it says why.

    Forms ask a file for its size inside their validation: an error raised there becomes the field's own. Whatever else
    looks at it gets no byte of the original.
    """

    def __init__(self, name: str, content_type: str, reason: str) -> None:
        self._reason = reason
        super().__init__(BytesIO(), name, content_type)

    @property
    def size(self) -> int:
        raise ValidationError(self._reason, code="cloak")

    @size.setter
    def size(self, _: Any) -> None:
        pass


class UploadHandler(FileUploadHandler):
    """For the first place in FILE_UPLOAD_HANDLERS: photos are held in memory, cleaned and passed on, or refused.

    Files that are no photos go on to the other handlers.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._data = bytearray()
        self._photo: bool | None = None  # not known yet
        self._too_large = False
        self._limit = settings().max_bytes
        if self._judge():
            self._photo = True
            raise StopFutureHandlers  # they would make an empty temporary file of its name

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:  # noqa: ARG002 - Django's signature
        """Keep a photo's bytes; what is returned goes to the next handler, which may write it to the disk."""
        if self._photo is False:
            return raw_data
        if not self._too_large:
            self._data += raw_data
        if self._photo is None and len(self._data) >= ENOUGH:
            self._photo = self._judge()
            if not self._photo:
                passed = bytes(self._data)
                self._data.clear()
                return passed
        if len(self._data) > self._limit:
            self._too_large = True
            self._data.clear()
        return None

    def file_complete(self, file_size: int) -> UploadedFile | None:  # noqa: ARG002 - Django's signature
        """The clean photo, or one that says why it was refused; None for what is none."""
        if self._photo is False:
            return None
        name, kind = self.file_name or "", self.content_type or ""
        data = bytes(self._data)
        self._data = bytearray()
        if self._photo is None and not self._judge(data):
            return InMemoryUploadedFile(
                BytesIO(data), self.field_name, name, kind, len(data), self.charset, self.content_type_extra
            )
        try:
            if self._too_large:
                raise TooLarge(f"the photo has more than {self._limit:,} bytes", next_step="Make it smaller.")
            ready = clean(data)
        except CloakError as error:
            _log.warning("an upload was refused: %s", error.slug)
            return RefusedUpload(name, kind, words(error))
        upload = CleanUpload(
            BytesIO(ready), self.field_name, name, kind, len(ready), self.charset, self.content_type_extra
        )
        upload.digest = digest(ready)
        return upload

    def upload_interrupted(self) -> None:
        """The client went away: so does what it sent."""
        self._data = bytearray()

    def _judge(self, data: bytes | None = None) -> bool:
        return is_photo(self.file_name or "", self.content_type or "", bytes(self._data if data is None else data))
