"""A JSON column that keeps numbers as they were written."""

from __future__ import annotations

from typing import Any

from django.db import models

from ground.http import ExactJSONDecoder, ExactJSONEncoder


class ExactJSONField(models.JSONField):
    """JSON whose numbers with a fraction are Decimals in Python and keep every digit in the column."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("encoder", ExactJSONEncoder)
        options.setdefault("decoder", ExactJSONDecoder)
        super().__init__(*args, **options)
